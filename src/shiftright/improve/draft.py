"""From what was observed to a contract that a person then edits: cases, checks that the evidence suggests."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from shiftright.core.case import Case, digest_of
from shiftright.core.counting import counted
from shiftright.datasets import row_of
from shiftright.errors import UsageError
from shiftright.improve.cases import messages_of
from shiftright.improve.likeness import NEARLY_EQUAL, grouped
from shiftright.improve.observed import Observed
from shiftright.tracing.exchange import is_conversation

FEWEST = 2
MOST_LABELS = 20
DEV_SHARE = 256 // 3
"""Of 256: a third of the inputs to tune on, the rest to decide with."""

SMALLEST_COST = 1e-9  # USD a call: below it is a price that somebody got wrong

LABEL = "label traces (shiftright review label) and draft again"

_PLAIN = re.compile(r"[A-Za-z][\w.-]*")


class Draft(msgspec.Struct, frozen=True):
    """``files``: name to content, relative to the feature's folder. ``found`` says what they were made of, ``edits``
    what a person has to look at before the contract means something."""

    feature: str
    files: dict[str, str]
    found: tuple[str, ...]
    edits: tuple[str, ...]


class _Answers(NamedTuple):
    """How outputs look: ``schema`` where all are JSON objects, ``labels`` where few different ones are expected."""

    schema: dict[str, Any] | None
    exact: bool
    field: str | None


def draft(feature: str, observed: Sequence[Observed]) -> Draft:
    """
    Raises:
        UsageError: when too little was observed to say anything.
    """
    found: list[str] = []
    edits: list[str] = []
    worked = [each for each in observed if not each.failed]
    kept, system = _one_prompt(worked, found)
    distinct = [min(alike, key=lambda each: each.expected is None) for alike in _alike(kept)]
    if len(distinct) < len(kept):
        found.append(f"{counted(len(kept) - len(distinct), 'input')} nearly repeating another: left out")
    labelled = [each for each in distinct if each.expected is not None]
    # a check that compares needs an answer on every case it is decided on
    chosen = labelled if len(labelled) >= FEWEST else distinct
    if len(chosen) < FEWEST:
        raise UsageError(
            f"{len(chosen)} different inputs were seen that were answered: too few to begin with",
            hint="Record more: shiftright record -- COMMAND, or point your client at shiftright serve.",
        )
    dev, gate = _split([_case(each) for each in chosen])
    answers = _answers(chosen, [each.expected for each in labelled])
    files = {"dev.jsonl": _jsonl(dev), "gate.jsonl": _jsonl(gate)}
    _label_notes(distinct, labelled, chosen, found, edits)
    found.append(
        f"{counted(len(dev))} to tune on (dev), {len(gate)} to decide with (gate); users and sessions stay together"
    )
    if answers.schema is not None:
        files["schema.json"] = json.dumps(answers.schema, indent=2, ensure_ascii=False) + "\n"
    side = _side(kept, system, answers, files, edits)
    checks = _checks(
        chosen, kept, answers, labelled=bool(labelled) and chosen is labelled, compared=bool(side.model)
    )
    files["spec.yaml"] = _spec(feature, side, checks)
    edits.append("cases hold what users wrote: see that you may keep it, and take out what is about a person")
    edits.append("purpose and owner in spec.yaml; the bounds of each check: what would hurt?")
    return Draft(feature, files, tuple(found), tuple(edits))


class _Side(NamedTuple):
    model: str
    prompt: bool


def _one_prompt(observed: Sequence[Observed], found: list[str]) -> tuple[list[Observed], str | None]:
    """Exchanges under the system message that most of them share; the message, None where none or no one is shared."""
    systems = Counter(each.system for each in observed)
    if not systems:
        return [], None
    system, count = systems.most_common(1)[0]
    if count * 2 >= len(observed):
        if count < len(observed):
            found.append(
                f"{counted(len(observed) - count, 'exchange')} under other system messages: left out"
            )
        return [each for each in observed if each.system == system], system
    found.append("system messages differ from call to call: they stay in the cases")
    return [_with_system(each) for each in observed], None


def _with_system(each: Observed) -> Observed:
    if each.system is None:
        return each
    turns = each.value if is_conversation(each.value) else [{"role": "user", "content": each.value}]
    return msgspec.structs.replace(each, value=[{"role": "system", "content": each.system}, *turns])


def _alike(observed: Sequence[Observed]) -> list[list[Observed]]:
    """Equal inputs by digest first: word sets are compared of what is left."""
    by_digest: dict[str, list[Observed]] = {}
    for each in observed:
        by_digest.setdefault(digest_of(each.value), []).append(each)
    near = grouped(((same, same[0].value) for same in by_digest.values()), at_least=NEARLY_EQUAL)
    return [[each for same in group for each in same] for group in near]


def _case(each: Observed) -> Case:
    messages = messages_of(each.value)
    return Case(
        id=digest_of(each.source, each.value)[:12],
        input=None if messages else each.value,
        messages=messages,
        expected=each.expected,
        group=each.group,
        source=each.source,
    )


def _split(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """By a hash of the group or the input, so that more traffic later splits alike; a small set never on one side."""
    dev: list[Case] = []
    gate: list[Case] = []
    for case in cases:
        unit = digest_of(case.group or case.value)
        (dev if int(unit[:2], 16) < DEV_SHARE else gate).append(case)
    for side, other in ((dev, gate), (gate, dev)):
        if not side:
            side.append(other.pop())
    return dev, gate


def _label_notes(
    distinct: list[Observed],
    labelled: list[Observed],
    chosen: list[Observed],
    found: list[str],
    edits: list[str],
) -> None:
    if chosen is labelled:
        found.append(f"{len(labelled)} inputs with a right answer, said by people or the file")
        if len(labelled) < len(distinct):
            without = len(distinct) - len(labelled)
            edits.append(f"{without} more inputs have no right answer yet: {LABEL}")
        return
    found.append(f"{len(distinct)} different inputs, none with a right answer")
    edits.append(
        "no check says whether an answer is right: add `expected` to the cases and "
        f"`right: {{score: exact, at_least: 80%}}` to the checks, or {LABEL}"
    )


def _answers(chosen: Sequence[Observed], expected: Sequence[Any]) -> _Answers:
    outputs = [each.output for each in chosen if each.output is not None]
    shapes = [value for value in (*outputs, *expected) if value is not None]
    objects = [value for value in shapes if isinstance(value, dict)]
    schema = _schema(objects) if objects and len(objects) == len(shapes) else None
    words = {msgspec.json.encode(value, order="sorted") for value in expected}
    few = len(words) <= min(MOST_LABELS, max(len(expected) // 2, 2))
    field = next(iter(schema["properties"])) if schema and len(schema["properties"]) == 1 else None
    return _Answers(schema, few or schema is not None, field)


def _schema(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all of them have in common: keys, types, and the choices of a field that has few."""
    names = list(dict.fromkeys(name for each in objects for name in each))
    properties = {name: _kind([each[name] for each in objects if name in each]) for name in names}
    required = [name for name in names if all(name in each for each in objects)]
    return {"type": "object", "properties": properties, "required": required}


def _kind(values: Sequence[Any]) -> dict[str, Any]:
    kinds = sorted({_type(value) for value in values})
    if kinds == ["integer", "number"]:
        kinds = ["number"]
    kind: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    choices = sorted(set(values)) if kinds == ["string"] else []
    if choices and len(choices) <= MOST_LABELS and len(values) >= 5 * len(choices):
        kind["enum"] = choices
    return kind


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _side(
    kept: Sequence[Observed], system: str | None, answers: _Answers, files: dict[str, str], edits: list[str]
) -> _Side:
    models = Counter(each.model for each in kept)
    model, count = models.most_common(1)[0]
    if not model:
        edits.append(
            "run in spec.yaml: where your feature answers (module:function, a URL, or a command line)"
        )
        return _Side("", False)
    if count < len(kept):
        edits.append(f"{len(models)} models were seen; the variant `current` uses {model}")
    if system is None and answers.schema is None:
        return _Side(model, False)
    head = "---\noutput: ../schema.json\n---\n" if answers.schema is not None else ""
    talks = any(is_conversation(each.value) for each in kept)
    text = _literal(system or "")
    if talks:
        body = f"{text}\n"
        if any(not is_conversation(each.value) for each in kept):
            edits.append(
                "some inputs are conversations and some are single texts: prompts/current.md fits conversations"
            )
    elif system is None:
        body = "{{ input }}\n"
    else:
        body = f"<system>\n{text}\n</system>\n<user>\n{{{{ input }}}}\n</user>\n"
    files["prompts/current.md"] = head + body
    return _Side(model, True)


def _literal(text: str) -> str:
    """Somebody's words as a template that gives these words and nothing else."""
    if re.search(r"\{[{%#]|^\s*</?(?:system|user|assistant)>\s*$|^---", text, re.MULTILINE):
        return "{{ " + json.dumps(text, ensure_ascii=False) + " }}"
    return text


def _checks(
    chosen: Sequence[Observed], kept: Sequence[Observed], answers: _Answers, *, labelled: bool, compared: bool
) -> list[str]:
    checks = []
    if labelled:
        score = "exact" if answers.exact else "similarity"
        field = f", field: {_word(answers.field)}" if answers.field else ""
        bound = "max_drop: 3 points" if compared else f"at_least: {_level(chosen)}%"
        checks.append(f"  right:   {{score: {score}{field}, {bound}}}")
    if answers.schema is not None:
        checks.append("  json:    {score: schema, schema: schema.json, never_fails: true}")
    latencies = sorted(each.latency_s for each in kept if each.latency_s)
    if latencies:
        p95 = latencies[min(int(0.95 * len(latencies)), len(latencies) - 1)]
        checks.append(f"  latency: {{p95_at_most: {_rounded(1.5 * p95)} s}}   # seen: {p95:.3g} s")
    costs = [each.cost_usd for each in kept if each.cost_usd]
    if costs and sum(costs) / len(costs) >= SMALLEST_COST:
        mean, most = sum(costs) / len(costs), max(costs)
        bounds = f"mean_at_most: {_rounded(1.25 * mean)} USD, each_at_most: {_rounded(max(3 * most, 1.25 * mean))} USD"
        checks.append(f"  cost:    {{{bounds}}}   # seen: {mean:.3g} USD a call")
    # nothing was measured: at least an answer has to come
    return checks or ["  latency: {p95_at_most: 10 s}   # nothing was measured"]


def _level(chosen: Sequence[Observed]) -> int:
    """Five points below the share that was right, where outputs and right answers are both known."""
    known = [each for each in chosen if each.output is not None and each.expected is not None]
    right = sum(each.output == each.expected for each in known) / len(known) if known else 0.8
    return min(max(round(100 * right) - 5, 50), 95)


def _rounded(value: float) -> str:
    """Two digits that matter, never in a notation that a contract does not read."""
    return f"{float(f'{value:.2g}'):.12f}".rstrip("0").rstrip(".")


def _spec(feature: str, side: _Side, checks: Sequence[str]) -> str:
    lines = [
        "# Drafted from recorded traffic. Edit it: what must this feature do, and what would hurt?",
        f"feature: {feature}",
    ]
    if side.model:
        prompt = ", prompt: prompts/current.md" if side.prompt else ""
        variant = f"{{model: {_word(side.model)}{prompt}}}"
        lines += ["variants:", f"  current: {variant}", "baseline: current"]
    else:
        lines.append(
            "run: http://127.0.0.1:8000/   # EDIT: module:function beside this file, a URL, or a command line"
        )
    lines += ["cases: {dev: dev.jsonl, gate: gate.jsonl}", "checks:", *checks]
    return "\n".join(lines) + "\n"


def _word(text: str) -> str:
    """As a YAML scalar in a flow mapping: quoted where it might be read as something else."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _jsonl(cases: Sequence[Case]) -> str:
    return "".join(msgspec.json.encode(row_of(case)).decode() + "\n" for case in cases)
