"""``shiftright next``: the one most useful next action, and its command."""

from __future__ import annotations

from shiftright.cli import _output
from shiftright.cli._options import Json


def next_(json: Json = False) -> int:
    """Say the one most useful next action."""
    from shiftright.app import App
    from shiftright.evals.next_step import next_step

    with App.here() as app:
        step = next_step(app.settings, app.records if app.has_records else None)
    if json:
        _output.print_json(
            {"action": step.action, "why": step.why, "command": step.command, "feature": step.feature}
        )
    else:
        _output.say(step.action)
        _output.say(f"  {step.why}")
        _output.say(f"  $ {step.command}")
    return _output.PASS
