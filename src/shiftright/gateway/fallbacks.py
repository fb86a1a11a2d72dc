"""A feature that failed: what its contract names is asked in order, other variants, other models, at last a person.

Only live requests go this way: an eval measures the variant itself. See docs/decisions/escalation.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from shiftright.core.answer import Answer, Failure
from shiftright.core.spec import Spec, Variant
from shiftright.core.trace import SpanRow
from shiftright.errors import Error, StoreError
from shiftright.gateway.calls import Calls
from shiftright.gateway.refusal import Refusal
from shiftright.gateway.routing import Router
from shiftright.gateway.spans import Record, rows_of
from shiftright.models.meter import Meter
from shiftright.store import Records
from shiftright.store.rows import ReviewRow
from shiftright.tracing.exchange import exchange
from shiftright.tracing.redaction import Redaction

_log = logging.getLogger("shiftright.gateway")
PERSON = "person:"
POLL = "/v1/escalations/"
_STATUS = {"timeout": 504, "provider": 502, "refused": 502, "malformed": 502, "model": 502}
# what says where and how the first model is reached does not hold for another
_OF_THE_MODEL = frozenset({"base_url", "api_key_env", "price"})


class Escalation(msgspec.Struct, frozen=True):
    """A person was asked instead; ``review`` is where the answer will be, by ``due_at`` (seconds since 1970)."""

    review: str
    group: str
    due_at: float

    @property
    def poll(self) -> str:
        return POLL + self.review

    @property
    def words(self) -> str:
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.due_at))
        return (
            f"A person ({self.group}) was asked and answers until {until}. The answer will be at {self.poll}"
        )


class Fallbacks:
    """Asks a feature, and what its contract names after it."""

    def __init__(self, router: Router, calls: Calls, records: Records, redaction: Redaction) -> None:
        self._router, self._calls, self._records, self._redaction = router, calls, records, redaction

    async def ask(self, spec: Spec, variant: Variant, value: Any, record: Record) -> Answer | Escalation:
        """The feature's answer, or that of the first rung below it that gives one; noted in the record.

        Raises:
            Refusal: all failed; the first one's failure is told.
        """
        record.operation = "feature"
        try:
            return await self._once(spec, variant, value, record)
        except Refusal as refusal:
            # a copy that nobody gets is measured as it is
            if record.shadow_of or not spec.ship.fallback:
                raise
            self._note(record, variant.name, refusal)
            found = await self._below(spec, variant, value, record, refusal)
            if found is None:
                raise
            return found

    async def below(
        self, spec: Spec, variant: Variant, value: Any, record: Record, failed: Refusal, asked: Sequence[str]
    ) -> Answer | Escalation:
        """As ``ask``, where these models were asked elsewhere already, and failed.

        Raises:
            Refusal: ``failed``, where nobody below them answers.
        """
        record.operation = "feature"
        self._note(record, variant.name, failed)
        found = await self._below(spec, variant, value, record, failed, asked)
        if found is None:
            raise failed
        return found

    async def _below(
        self,
        spec: Spec,
        variant: Variant,
        value: Any,
        record: Record,
        failed: Refusal,
        asked: Sequence[str] = (),
    ) -> Answer | Escalation | None:
        said = record.error or failed.message
        for rung in spec.ship.fallback:
            if rung.startswith(PERSON):
                escalation = await asyncio.to_thread(self._escalate, spec, rung, said, record)
                if escalation is not None:
                    record.rung, record.error = rung, None
                return escalation
            other = None if rung in asked else self._variant(spec, variant, rung)
            if other is None:
                continue
            try:
                answer = await self._once(spec, other, value, record)
            except Refusal as refusal:
                self._note(record, rung, refusal)
                continue
            record.rung, record.error = rung, None
            return answer
        record.error = said
        return None

    def _variant(self, spec: Spec, variant: Variant, rung: str) -> Variant | None:
        """None: asking it would be asking again."""
        if ":" not in rung:
            # a release froze one variant; the rungs are the contract's as it is now
            current = self._router.features.get(spec.feature, spec)
            found = current.variants.get(rung)
            return None if found is None or rung == variant.name else found
        if variant.get("model") in (None, rung):
            return None
        settings = {key: given for key, given in variant.settings.items() if key not in _OF_THE_MODEL}
        return Variant(f"{variant.name}/{rung}", settings | {"model": rung}, variant.run, variant.root)

    async def _once(self, spec: Spec, variant: Variant, value: Any, record: Record) -> Answer:
        """
        Raises:
            Refusal: the call failed; what exactly is in the record, places in the feature's code included.
        """
        meter, began = Meter(), time.time_ns()
        try:
            answer = await self._calls.call(spec, variant, value, record.ids.trace_id, meter)
        except Error as error:
            record.error = str(error)
            raise Refusal(
                500, error.code, f"{spec.feature} cannot be called: {error.message}", final=True
            ) from error
        finally:
            # however it ended: also where its client went, what was asked until then is paid
            record.charged_usd += (meter.spent_usd or 0.0) + meter.left_usd
        record.children += rows_of(record, answer.spans, began)
        if answer.failure is not None:
            raise _failed(spec.feature, answer.failure, record)
        record.output = msgspec.json.encode(answer.output).decode()
        return answer

    def _note(self, record: Record, name: str, refusal: Refusal) -> None:
        """Who answered instead must not hide that, and why, this one did not."""
        now = time.time_ns()
        record.children.append(
            SpanRow(
                trace_id=record.ids.trace_id,
                span_id=os.urandom(8).hex(),
                parent_span_id=record.ids.span_id,
                name=f"failed: {name}"[:500],
                start_ns=now,
                end_ns=now,
                error=record.error or refusal.message,
                service="shiftright",
                feature=record.feature,
                variant=record.variant,
                release=record.release,
            )
        )

    def _escalate(self, spec: Spec, rung: str, said: str, record: Record) -> Escalation | None:
        """None where it cannot be kept: a person who never hears of it is no answer."""
        group = rung.removeprefix(PERSON)
        shown = record.row()
        shown.error = said
        self._redaction.prepare([shown])
        told = exchange([shown])
        due = time.time() + spec.ship.answer_within_s
        subject = ({} if told is None else told.subject()) | {"group": group, "key": record.key}
        try:
            review: ReviewRow = self._records.reviews.open(
                "escalation", subject, feature=spec.feature, trace_id=record.ids.trace_id, due_at=due
            )
        except StoreError as error:
            _log.error("%s could not be escalated to %s: %s", spec.feature, group, error)
            return None
        return Escalation(review.id, group, due)


def _failed(feature: str, failure: Failure, record: Record) -> Refusal:
    record.error = f"{failure.kind}: {failure.message}"
    status = _STATUS.get(failure.kind, 500)
    said = f"{feature} failed" if failure.kind == "feature" else f"{feature} failed: {failure.message}"
    return Refusal(status, failure.kind, said, hint=f"See trace {record.ids.trace_id}.")
