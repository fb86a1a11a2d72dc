"""Which case, repeat, cache, budget and meter the model calls of one feature call belong to.

with scope.use(CallScope(case_id="c1", repeat=0, cache=cache, budget=budget)) as current:
    ...  # every model call in here, and in the tasks started here
current.meter.cost_usd
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType

import msgspec

from shiftright.errors import Error, ModelError
from shiftright.models.budget import Budget
from shiftright.models.cache import ModelCache
from shiftright.models.meter import Meter


class CallScope(msgspec.Struct):
    """One call of a feature, as its model calls see it.

    ``repeat`` counts repeated measurements of the same case: each is asked and cached on its own. ``timeout_s``
    bounds one model call with all its retries. ``calls`` counts the model calls begun so far. ``stopped`` is the
    first error that no further call can get past: a feature that catches everything must not hide a reached cap.
    """

    case_id: str = ""
    repeat: int = 0
    cache: ModelCache | None = None
    budget: Budget | None = None
    timeout_s: float | None = None
    meter: Meter = msgspec.field(default_factory=Meter)
    calls: int = 0
    stopped: Error | None = None

    def note(self, error: Error) -> None:
        """Remember an error of a model call if it stops a run."""
        if self.stopped is None and not isinstance(error, ModelError):
            self.stopped = error


_current: ContextVar[CallScope | None] = ContextVar("shiftright.models", default=None)


class use:  # noqa: N801 - reads as the verb of its with statement
    """Makes ``scope`` the current one for a block; ``with`` gives the scope.

    A class and not a generator: every call of a feature passes through it, and a generator costs three times as much.
    """

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: CallScope) -> None:
        self._scope = scope

    def __enter__(self) -> CallScope:
        self._token = _current.set(self._scope)
        return self._scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)


def current() -> CallScope | None:
    """The scope this code runs in; None outside of any."""
    return _current.get()
