"""``shiftright rollout``: a release to a few users first, to all on evidence, back to none when it does harm."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Feature, Json
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.store.rows import FollowedRow

_SHOWN = "%Y-%m-%d %H:%M"


def rollout(
    feature: Feature,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="V", help="Begin to roll this variant out, as it was released."),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show where it stands (the default).")] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Take it back: the next request goes to what served before.")
    ] = False,
    override: Annotated[
        str | None,
        typer.Option(
            "--override", metavar="REASON", help="Start without what is missing; kept and shown. Needs --by."
        ),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who does this.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it is taken back.")] = "",
    json: Json = False,
) -> int:
    """Roll a release out in steps, or take it back."""
    from shiftright.app import App

    if (start is not None) + back + status > 1:
        raise UsageError("--start, --status and --back are three questions", hint="Ask one of them.")
    if override is not None and start is None:
        raise UsageError(
            "--override belongs to --start", hint="shiftright rollout F --start V --override REASON"
        )
    with App.here() as app:
        if start is not None:
            return _start(app, feature, start, override or "", by, json)
        return _back(app, feature, by, reason, json) if back else _status(app, feature, json)


def _start(app: App, feature: str, variant: str, override: str, by: str, json: bool) -> int:
    import msgspec

    from shiftright.ship import rollouts
    from shiftright.ship.starting import start

    found, begun = start(app.settings, app.records, feature, variant, override=override, by=by)
    if begun is None:
        if json:
            _output.print_json(
                {"started": False, "missing": [msgspec.to_builtins(need) for need in found.missing]}
            )
        else:
            _output.say(f"{found.feature} · {found.variant} is not rolled out:")
            for need in found.missing:
                _output.say(f"  {need.what}\n    {need.command}")
            _output.tell('To start all the same, on record: --override "REASON" --by NAME')
        return _output.FAIL
    expected = _expected(app, begun.feature, begun.plan)
    row = _moved_on(app, begun.id)
    if json:
        document = {"started": True, **rollouts.described(row, app.records)}
        _output.print_json(document | {"outlook": msgspec.to_builtins(expected)})
        return _output.PASS
    _say(rollouts.described(row, app.records))
    if row.rollout.ended_at is None:
        _output.say(f"  {expected.words}")
        _output.tell("Any shiftright serve of these records serves it within two seconds.")
    return _output.PASS


def _back(app: App, feature: str, by: str, reason: str, json: bool) -> int:
    from shiftright.ship import rollouts

    name = _name(app, feature)
    taken, now = rollouts.back(name, app.records, by=by, reason=reason)
    row = _moved_on(app, taken.id)
    if json:
        _output.print_json({"taken_back": now, **rollouts.described(row, app.records)})
        return _output.PASS
    if not now:
        _output.say("It was taken back already.")
    _say(rollouts.described(row, app.records))
    return _output.PASS


def _status(app: App, feature: str, json: bool) -> int:
    from shiftright.ship import rollouts

    name = _name(app, feature)
    newest = rollouts.newest(name, app.records) if app.has_records else None
    if newest is None:
        if json:
            _output.print_json({"feature": name, "state": None})
        else:
            _output.say(f"Nothing of {name} was rolled out yet: shiftright rollout {name} --start V")
        return _output.PASS
    described = rollouts.described(_moved_on(app, newest.rollout.id), app.records)
    if json:
        _output.print_json(described)
    else:
        _say(described)
    return _output.PASS


def _name(app: App, feature: str) -> str:
    from shiftright import spec as specs

    return specs.load(specs.find(feature, app.settings.root)).feature


def _moved_on(app: App, rollout_id: str) -> FollowedRow:
    """Where no server ticks, a look does."""
    from shiftright.ship.ticking import Ticker

    with _traces(app) as reader:
        ticker = Ticker(app.records, None if reader is None else reader.trace)
        ticker.tick()
        ticker.close()
    return app.records.rollouts.get(rollout_id)


def _expected(app: App, feature: str, plan: Any) -> Any:
    from shiftright.ship.outlook import outlook

    with _traces(app) as reader:
        return outlook(feature, plan, reader, app.records)


def _traces(app: App) -> Any:
    from shiftright.cli._telemetry import has_traces, traces_of

    return traces_of(app.settings) if has_traces(app.settings) else nullcontext(None)


def _say(told: dict[str, Any]) -> None:
    share = f"{100 * told['share']:g} %"
    where = {
        "shadow": f"in the shadow: {told['evidence']['units']['shadow'] if told['evidence']['units'] else 0} of "
        f"{told['shadow_requests']} requests copied",
        "canary": f"step {told['step'] + 1} of {len(told['steps'])}: {share} of the {told['unit']}s",
        "promoted": "promoted: it serves everybody",
        "back": "taken back",
        "stopped": "taken back by a person",
    }[told["state"]]
    _output.say(f"{told['feature']}  {told['id']}  {where}")
    _output.say(f"  candidate {told['candidate'][:12]}  control {told['control'][:12] or 'the baseline'}")
    _output.say(f"  since {time.strftime(_SHOWN, time.localtime(told['started_at']))}")
    if told["reason"]:
        _output.say(f"  {told['reason']}" + (f" ({told['by']})" if told["by"] else ""))
    for passed in told["overrides"]:
        _output.say(f"  overridden by {passed['by'] or 'somebody'}: {passed['reason'] or '(erased)'}")
    known = told["evidence"]
    if known["units"] and told["state"] != "shadow":
        units = known["units"]
        _output.say(
            f"  units: {units['canary']:,} canary, {units['control']:,} control, {known['waiting']:,} waiting; "
            f"assignment p = {known['sample_ratio_p']:.2g}"
        )
    for check in known["checks"] or ():
        _output.say(f"  {_line(check)}")
    if known["days_left"] is not None and told["open"]:
        _output.say(f"  about {known['days_left']:.1f} days left at {known['units_a_day']:,.0f} units a day")


def _line(check: dict[str, Any]) -> str:
    if check["effect"] is None:
        return f"{check['check']}: not measured yet"
    low, high = check["interval"]
    return (
        f"{check['check']}: {100 * check['effect']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}); "
        f"for it {check['e_promote']:.3g} of {check['promote_at']:g}, "
        f"against it {check['e_rollback']:.3g} of {check['rollback_at']:g}"
    )
