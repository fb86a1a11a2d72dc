"""The one way into a feature, for evaluations and for live requests alike."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from shiftright.core.answer import Answer, Failure, Span
from shiftright.core.text import storable
from shiftright.errors import Error, FeatureError, ModelError, ScorerError
from shiftright.features import threads
from shiftright.features.current import active
from shiftright.features.loading import LoadedFeature
from shiftright.features.plain import to_plain
from shiftright.features.reply import Reply
from shiftright.models.budget import Budget
from shiftright.models.cache import ModelCache
from shiftright.models.meter import Meter
from shiftright.models.scope import CallScope, use
from shiftright.tracing.recorder import Recorder
from shiftright.usercode.isolation import is_user_file

_DATA = (FeatureError, ModelError, ScorerError)


async def call(
    loaded: LoadedFeature,
    value: Any,
    *,
    case_id: str,
    repeat: int = 0,
    cache: ModelCache | None = None,
    budget: Budget | None = None,
    timeout_s: float | None = None,
    record: bool = True,
    meter: Meter | None = None,
) -> Answer:
    """Call a feature with one case's value and say what came of it.

    Whatever the feature's own code raises is a Failure in the Answer: kind ``feature``, or the code of the
    ModelError. ``latency_s`` is the time the answer took when its model calls were first made, waiting for a thread
    or for a free slot at a provider not counted.

    Args:
        value: what ``Case.value`` gives: JSON data, or a conversation as a list of dicts.
        repeat: counts repeated measurements of one case; each asks its models anew.
        timeout_s: for the whole call; beyond it the answer is a failure of kind ``timeout``.
        record: keep spans.
        meter: counts the model calls; for who wants to know of them where the call is cancelled.

    Raises:
        Error: what no further call can get past (cap, credentials, store, cases, missing dependency, a broken
            contract or prompt), also where the feature's code wrapped, replaced or swallowed it.
    """
    scope = CallScope(case_id, repeat, cache, budget, timeout_s, meter or Meter())
    token = active.set((loaded.spec.feature, loaded.variant))
    try:
        with use(scope):
            if not record:
                return await _answer(loaded, value, scope, timeout_s, None)
            with Recorder() as recorder:
                return await _answer(loaded, value, scope, timeout_s, recorder.spans)
    finally:
        active.reset(token)


async def _answer(
    loaded: LoadedFeature,
    value: Any,
    scope: CallScope,
    timeout_s: float | None,
    spans: Callable[[], tuple[Span, ...]] | None,
) -> Answer:
    output: Any = None
    failure: Failure | None = None
    measured: float | None = None
    replied: Reply | None = None
    start = perf_counter()
    try:
        if loaded.blocking:
            done = await threads.run(loaded.invoke, value, timeout_s)
            measured = done.seconds
            if done.error is not None:
                raise done.error
            output = done.value
            if inspect.isawaitable(output):
                measured = None
                output = await _within(output, timeout_s)
        else:
            output = await _within(loaded.invoke(value), timeout_s)
        if type(output) is Reply:
            replied = output
            output = output.output
        output = to_plain(output)
        if scope.stopped is not None:
            raise scope.stopped
    except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as cause:
        # A failure of the feature's code is data, its SystemExit too.
        if isinstance(cause, TimeoutError) and timeout_s is not None and perf_counter() - start >= timeout_s:
            cause = _Overdue(timeout_s)
        output = None
        failure = _failure(cause)
        if scope.stopped is not None:
            raise scope.stopped from cause
    wall = perf_counter() - start if measured is None else measured
    meter = scope.meter
    return Answer(
        output,
        failure,
        meter.usage if replied is None else replied.usage,
        meter.cost_usd,
        meter.latency_s(wall) if replied is None or replied.latency_s is None else replied.latency_s,
        meter.model_calls,
        meter.cached_calls,
        () if spans is None else spans(),
        meter.spent_usd,
    )


class _Overdue(ModelError):
    code = "timeout"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"no answer within {timeout_s:g} s")


def _within(awaitable: Any, timeout_s: float | None) -> Any:
    return awaitable if timeout_s is None else _limited(awaitable, timeout_s)


async def _limited(awaitable: Any, timeout_s: float) -> Any:
    async with asyncio.timeout(timeout_s):
        return await awaitable


def _failure(cause: BaseException) -> Failure:
    """The failure as data.

    Raises:
        Error: when ``cause`` is, wraps or replaces one that stops a run.
    """
    for error in _behind(cause):
        if isinstance(error, Error) and not isinstance(error, _DATA):
            raise error
    if isinstance(cause, BaseExceptionGroup):
        inner = next((e for e in _behind(cause) if isinstance(e, _DATA)), None)
        cause = inner or cause
    if isinstance(cause, Error):
        return Failure(cause.code, storable(str(cause.message)))
    if isinstance(cause, SystemExit):
        said = f"the feature ended the program (exit status {_text(cause)})"
    else:
        said = f"{type(cause).__name__}: {_text(cause)}"
    return Failure("feature", storable(said + _place(cause)))


def _behind(cause: BaseException) -> Iterator[BaseException]:
    """The exception, what it groups, and what it was raised from or instead of."""
    todo: list[BaseException | None] = [cause]
    seen: set[int] = set()
    while todo:
        error = todo.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            todo += error.exceptions
        todo += (error.__context__, error.__cause__)


def _text(cause: BaseException) -> str:
    try:
        shown = str(cause)
    except Exception as error:  # noqa: BLE001 - a __str__ of the user's that fails is part of the failure
        shown = f"(its text cannot be made: {type(error).__name__})"
    return shown if len(shown) <= 2000 else shown[:2000] + " …"


def _place(cause: BaseException) -> str:
    """Where in the user's code it happened: the innermost line of it."""
    frames = [f for f in traceback.extract_tb(cause.__traceback__, limit=-200) if is_user_file(f.filename)]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
