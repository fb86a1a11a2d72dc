"""Rollouts as OpenFeature flags, in a Python program that runs its features itself (the extra ``flags``).

    from openfeature import api
    from shiftright.openfeature import RolloutProvider

    api.set_provider(RolloutProvider())
    variant = api.get_client().get_string_value("triage", "keywords", EvaluationContext(user_id))

Programs in other languages, or without the records, ask ``shiftright serve`` (gateway.flags) for the same flags.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    ErrorCode,
    OpenFeatureError,
    ProviderNotReadyError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import (
    FlagEvaluationDetails,
    FlagResolutionDetails,
    FlagValueType,
    Reason,
)
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import AbstractProvider, Metadata
from opentelemetry.trace import get_current_span

from shiftright import gateway
from shiftright.errors import Error
from shiftright.gateway.flags import Flag, evaluate
from shiftright.gateway.refusal import Refusal
from shiftright.settings import Settings
from shiftright.store import Records, open_records
from shiftright.tracing import attributes as names

_log = logging.getLogger("shiftright.flags")
_EVERY_S = 0.5
_Value = TypeVar("_Value", str, dict[str, Any])


class RolloutProvider(AbstractProvider):
    """The variants of a project's features, for each targeting key: the user, or the conversation where the contract
    says ``ship.unit: conversation``.

    ``NAME`` is a string flag, the variant's name. ``NAME:release`` is an object flag: ``variant``, ``release`` (its
    digest, "" where the contract's baseline serves) and ``settings``. Evaluated from memory; a thread reads the records
    twice a second.

    Args:
        start: a folder of the project (default: the current one).
    """

    def __init__(self, start: Path | None = None) -> None:
        super().__init__()
        self._settings = Settings.load(start)
        self._ending = threading.Event()
        self._records: Records | None = None
        self._router: gateway.Router | None = None
        self._rollouts: gateway.Rollouts | None = None
        self._thread: threading.Thread | None = None

    def get_metadata(self) -> Metadata:
        return Metadata(name="shiftright")

    def get_provider_hooks(self) -> list[Hook]:
        return [SpanHook()]

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """
        Raises:
            StoreError: the records cannot be opened.
            SpecError: ``shiftright.yaml`` cannot be read.
        """
        settings = self._settings
        router = gateway.Router(settings.root, gateway.configure(settings.root, os.environ))
        self._records = open_records(settings.records_url)
        self._router, self._rollouts = router, gateway.Rollouts(router, self._records, settings.home)
        self._look(router, self._rollouts)
        self._ending.clear()
        self._thread = threading.Thread(
            target=self._follow, args=(router, self._rollouts), name="shiftright-flags", daemon=True
        )
        self._thread.start()

    def shutdown(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        self._router = self._rollouts = self._thread = None
        if self._records is not None:
            self._records.close()
            self._records = None

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        flag = self._flag(flag_key, evaluation_context)
        if not isinstance(flag.value, str):
            _mismatched(flag, "string")
        return _details(flag, flag.value)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        flag = self._flag(flag_key, evaluation_context)
        if isinstance(flag.value, str):
            _mismatched(flag, "object")
        # the program's own: what it changes in it is not what others are served
        return _details(flag, deepcopy(flag.value))

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        _mismatched(self._flag(flag_key, evaluation_context), "boolean")

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        _mismatched(self._flag(flag_key, evaluation_context), "integer")

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        _mismatched(self._flag(flag_key, evaluation_context), "float")

    def _flag(self, key: str, context: EvaluationContext | None) -> Flag:
        router, rollouts = self._router, self._rollouts
        if router is None or rollouts is None:
            raise ProviderNotReadyError("the provider was not initialized")
        try:
            return evaluate(key, None if context is None else context.targeting_key, router, rollouts)
        except Refusal as refusal:
            raise OpenFeatureError(ErrorCode(refusal.code), str(refusal)) from None

    def _follow(self, router: gateway.Router, rollouts: gateway.Rollouts) -> None:
        while not self._ending.wait(_EVERY_S):
            self._look(router, rollouts)

    def _look(self, router: gateway.Router, rollouts: gateway.Rollouts) -> None:
        try:
            router.refresh()
        except (OSError, Error) as error:
            _log.warning("contracts could not be read again: %s", error)
        rollouts.exchange()


class SpanHook(Hook):
    """Writes on OpenTelemetry's current span what its outcome needs to count: feature, variant, release, and the arm.

    A RolloutProvider brings it. With the OFREP provider: ``api.add_hooks([SpanHook()])``.
    """

    def after(
        self, hook_context: HookContext, details: FlagEvaluationDetails[FlagValueType], hints: HookHints
    ) -> None:
        if names.FEATURE in details.flag_metadata:  # else it is somebody else's flag
            get_current_span().set_attributes(details.flag_metadata)


def _details(flag: Flag, value: _Value) -> FlagResolutionDetails[_Value]:
    return FlagResolutionDetails(
        value, reason=Reason(flag.reason), variant=flag.variant, flag_metadata=flag.metadata
    )


def _mismatched(flag: Flag, wanted: str) -> NoReturn:
    raise TypeMismatchError(
        f"{flag.key} is no {wanted}: NAME is a string, the variant's name; NAME:release is an object"
    )
