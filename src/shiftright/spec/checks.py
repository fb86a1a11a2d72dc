"""One check of the contract: which score it means, the scorer's params, and its clauses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from shiftright.core.spec import Check, Clause, ClauseKind
from shiftright.core.yaml_text import Map, Mark, plain
from shiftright.spec import sections
from shiftright.spec.keys import CHECK, CLAUSES, LIMITS, LIVE_ONLY, PARAM_FILES, SCORERS
from shiftright.spec.sections import fail
from shiftright.spec.values import Limit, format_fraction, format_limit, format_points

FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
MONTH = "month_at_most"
_UNITS = {"latency": "s", "cost": "USD"}
_HOLDERS: tuple[ClauseKind, ...] = ("at_least", "at_most", "mean_at_most")


def read_check(name: str, mapping: Map, mark: Mark) -> Check:
    """The check, with paths in its params made absolute.

    Raises:
        SpecError: with the line of the key that is wrong.
    """
    where = f"checks.{name}"
    known = Map(mapping.mark)
    rest = Map(mapping.mark)
    for key, value in mapping.items():
        target = known if CHECK.get(key) else rest
        target[key], target.marks[key] = value, mapping.marks[key]
    values = sections.read(CHECK, known, where)
    score = _score(values, known, where)
    params = _params(score, values, known, rest, where)
    clauses = _clauses(score, values, known, where)
    month = values.get(MONTH)
    return Check(
        name=name,
        score=score,
        params=params,
        clauses=clauses,
        line=mark.line,
        month_at_most_usd=month.amount if month else None,
    )


def phrase(check: Check, clause: Clause) -> str:
    """The clause as a contract states it: ``max_drop: 3 points``."""
    if clause.kind == "never_fails":
        return "never_fails: true"
    if clause.kind in LIMITS:
        return f"{clause.kind}: {format_limit(Limit(clause.bound, _UNITS.get(check.score, '')))}"
    shown = format_points if clause.relative else format_fraction
    return f"{clause.kind}: {shown(clause.bound)}"


def _score(values: dict[str, Any], mapping: Map, where: str) -> str:
    """The scorer's name: as given, by ``judge``, or by the unit of the limits."""
    limits = {key: value.unit for key, value in values.items() if key in LIMITS or key == MONTH}
    if limits.get(MONTH, "USD") != "USD":
        raise fail(mapping.marks[MONTH], f"{where}.{MONTH} is an amount of money", f"Write {MONTH}: 400 USD.")
    if len(set(limits.values())) > 1:
        key = next(reversed(limits))
        raise fail(mapping.marks[key], f"{where} mixes limits in seconds and in USD", "Make it two checks.")
    measured = next((score for score, unit in _UNITS.items() if unit in limits.values()), None)
    if "judge" in values:
        if values.get("score", "judge") != "judge":
            raise fail(mapping.marks["score"], f"{where} has both judge and score", "Keep one of them.")
        score = "judge"
    elif "score" in values:
        score = values["score"]
        _refuse_unknown_scorer(score, mapping.marks["score"], where)
    elif measured:
        score = measured
    else:
        raise fail(
            mapping.mark,
            f"{where} does not say what it measures",
            f"Add score: ({', '.join(SCORERS)}, or module:function), judge:, or a limit in seconds or USD.",
        )
    if limits and measured != score:
        key = next(iter(limits))
        raise fail(
            mapping.marks[key],
            f"{where}.{key} limits {measured}, but the check scores {score!r}",
            f"Put it into a check of its own: {measured}: {{{key}: {format_limit(values[key])}}}",
        )
    return str(score)


def _refuse_unknown_scorer(score: str, mark: Mark, where: str) -> None:
    if score in SCORERS or FUNCTION.fullmatch(score):
        return
    from shiftright import plugins  # entry points cost 30 ms that only a stranger's name pays

    known = sorted({*SCORERS, *plugins.found("scorers")})
    if score in known:
        return
    near = sections.nearest(score, known)
    guess = f"Did you mean {near!r}? " if near else ""
    raise fail(
        mark,
        f"{where}.score: there is no scorer {score!r}",
        f"{guess}Known: {', '.join(known)}, or module:function for one of your own.",
    )


def _params(score: str, values: dict[str, Any], known: Map, rest: Map, where: str) -> dict[str, Any]:
    """The scorer's own keys. Built-ins declare theirs; others take any key that is not a misspelt clause."""
    params: dict[str, Any] = {}
    table = SCORERS.get(score)
    if "judge" in values:
        params["rubric"] = _file(values["judge"], known.marks["judge"], f"{where}.judge")
    for name, raw in rest.items():
        mark = rest.marks[name]
        if table is None:
            if near := sections.nearest(name, [key.name for key in CHECK.keys], cutoff=0.8):
                raise fail(mark, f"{where}: unknown key {name!r}", f"Did you mean {near!r}?")
            params[name] = plain(raw)
            continue
        key = next((key for key in table if key.name == name), None)
        if key is None:
            names = [key.name for key in (*table, *CHECK.keys)]
            raise sections.unknown(name, names, mark, where)
        value = plain(sections.value_of(key, raw, mark, where))
        is_file = name in PARAM_FILES and isinstance(value, str)
        params[name] = _file(value, mark, f"{where}.{name}") if is_file else value
    for key in table or ():
        if key.required and key.name not in params:
            raise fail(known.mark, f"{where}: {score} needs {key.name}", f"Add {key.shown}")
    return params


def _file(name: str, mark: Mark, label: str) -> str:
    path = beside(name, mark)
    if not path.is_file():
        raise fail(mark, f"{label}: there is no file {name}", f"Looked for {path}")
    return str(path)


def beside(name: str, mark: Mark) -> Path:
    """A path relative to the file that names it.

    Raises:
        SpecError: for a path that leads nowhere: symbolic links in a circle, a NUL character.
    """
    folder = mark.file.parent if mark.file else Path()
    try:
        path = (folder / name).resolve()
        path.is_file()  # says what resolving does not: a name that is too long
    except (OSError, RuntimeError, ValueError) as cause:
        shown = sections.cut(repr(name), 80)
        raise fail(mark, f"{shown} is not a path to a file: {cause}", "Name the file itself.") from None
    return path


def _clauses(score: str, values: dict[str, Any], mapping: Map, where: str) -> tuple[Clause, ...]:
    _refuse_offline(values, score, mapping, where)
    comfortable, holder = _comfortable(values, mapping, where)
    clauses = []
    for kind in CLAUSES:
        if kind not in values:
            continue
        value = values[kind]
        _refuse_senseless(kind, value, score, mapping.marks[kind], where)
        bound = value.amount if isinstance(value, Limit) else 0.0 if kind == "never_fails" else value
        good = comfortable if kind == holder else None
        clauses.append(Clause(kind, bound, good, mapping.marks[kind].line))
    if not clauses and MONTH not in values:
        raise fail(mapping.mark, f"{where} has no condition", f"Add one of {', '.join(CLAUSES)}.")
    _refuse_contradictions(values, mapping, where)
    return tuple(clauses)


def _comfortable(values: dict[str, Any], mapping: Map, where: str) -> tuple[float | None, ClauseKind | None]:
    """The good boundary in the unit of the one clause it belongs to."""
    if "comfortable" not in values:
        return None, None
    mark = mapping.marks["comfortable"]
    holders = [kind for kind in _HOLDERS if kind in values]
    if len(holders) != 1:
        raise fail(
            mark,
            f"{where}.comfortable belongs to exactly one of {', '.join(_HOLDERS)}",
            "Remove it, or make it two checks.",
        )
    kind = holders[0]
    key = CHECK.get(kind)
    assert key is not None
    good = sections.value_of(key._replace(name="comfortable"), values["comfortable"], mark, where)
    bad = values[kind]
    if isinstance(bad, Limit) and good.unit != bad.unit:
        raise fail(mark, f"{where}.comfortable is in {good.unit}, {kind} in {bad.unit}", "Use one unit.")
    better = good > bad if kind == "at_least" else good < bad
    if not better:
        side = "above" if kind == "at_least" else "below"
        raise fail(
            mark,
            f"{where}.comfortable is on the wrong side of {kind}",
            f"It is the level that should pass without effort: {side} {mapping[kind]}.",
        )
    return (good.amount if isinstance(good, Limit) else good), kind


def _refuse_offline(values: dict[str, Any], score: str, mapping: Map, where: str) -> None:
    """Live traffic has one side and no judge between: a share of it is all that can be asked for."""
    for kind in CLAUSES if score in LIVE_ONLY else ():
        if kind in values and kind not in ("at_least", "at_most"):
            why = "against a baseline" if kind in ("max_drop", "min_gain") else "about single calls"
            message = f"{where}.{kind} is {why}, and {score} is known of live traffic only"
            raise fail(mapping.marks[kind], message, "Use at_least or at_most.")


def _refuse_senseless(kind: str, value: Any, score: str, mark: Mark, where: str) -> None:
    """Bounds that hold always, or that no number of cases can prove."""
    label = f"{where}.{kind}"
    if kind not in LIMITS and score in _UNITS:
        raise fail(mark, f"{label}: {score} is not a share of outputs", f"Use {', '.join(sorted(LIMITS))}.")
    if kind == "never_fails" and value is False:
        raise fail(mark, f"{label}: false asks for nothing", "Remove the line.")
    always = {"at_least": 0.0, "at_most": 1.0}.get(kind)
    if value == always:
        raise fail(mark, f"{label}: {format_fraction(value)} holds always", "Give the bound that would hurt.")
    extreme = {"at_least": 1.0, "at_most": 0.0}.get(kind)
    if value == extreme:
        raise fail(
            mark,
            f"{label}: no number of cases can prove {format_fraction(value)}",
            "Use never_fails: true for what may never happen, or a bound short of it.",
        )
    if kind in ("max_drop", "min_gain") and value == 1.0:
        raise fail(mark, f"{label}: 100 points is the whole scale", "Give the change that would matter.")


def _refuse_contradictions(values: dict[str, Any], mapping: Map, where: str) -> None:
    each = values.get("each_at_most")
    for kind in ("p95_at_most", "mean_at_most"):
        if each and kind in values and each.amount < values[kind].amount:
            raise fail(
                mapping.marks[kind],
                f"{where}.{kind} can never be reached: each_at_most is smaller",
                f"Every call is stopped at {format_limit(each)}.",
            )
    if values.get("at_least", 0.0) > values.get("at_most", 1.0):
        raise fail(mapping.marks["at_most"], f"{where}: at_least is above at_most", "Swap or drop one.")
