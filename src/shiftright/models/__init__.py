"""Models: every provider, an embedded one, recorded ones; cached, capped, retried and metered.

    model = models.resolve("local:smollm2-135m", settings=variant.settings, root=variant.root)
    with models.scope.use(models.scope.CallScope(case_id="c1", cache=cache)) as current:
        asked = await models.ask(model, "Which queue?", output=Route)

A name is imported when it is first used: pydantic-ai takes most of a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shiftright.models.asking import Asked as Asked
    from shiftright.models.asking import ask as ask
    from shiftright.models.budget import Budget as Budget
    from shiftright.models.naming import check_credentials as check_credentials
    from shiftright.models.naming import resolve as resolve
    from shiftright.models.scope import CallScope as CallScope

_HOME = {
    "Asked": "asking",
    "ask": "asking",
    "Budget": "budget",
    "check_credentials": "naming",
    "resolve": "naming",
    "CallScope": "scope",
}
_MODULES = frozenset({"local", "prices", "scope"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
