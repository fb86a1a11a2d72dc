"""Read ``spec.yaml`` into a Spec: company defaults underneath, every error with its file and line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.case import digest_of
from shiftright.core.spec import Check, Confidence, Ship, Spec, Variant
from shiftright.core.yaml_text import Map, Mark, decode, parse, plain
from shiftright.errors import SpecError
from shiftright.spec import sections
from shiftright.spec.checks import FUNCTION, beside, read_check
from shiftright.spec.keys import (
    CASES,
    CONFIDENCE,
    DATA,
    LIVE,
    LIVE_ONLY,
    OWNER,
    REDACTABLE,
    SERVER_KEYS,
    SHIP,
    TOP,
    UNITS,
    VALUE,
    VARIANT,
    Section,
)
from shiftright.spec.sections import fail
from shiftright.spec.values import NAME

MAX_BYTES = 1_000_000
RECORDED = "recorded:"


def load(path: str | Path) -> Spec:
    """The contract at ``path`` (the file, or the folder with a ``spec.yaml``).

    Raises:
        SpecError: whatever is wrong with it, with file, line and the way out.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "spec.yaml"
    document = _with_defaults(file, ())
    values = sections.read(TOP, document)
    given = _checks(values["checks"], document.marks["checks"])
    checks = tuple(check for check in given if check.score not in LIVE_ONLY)
    if not checks:
        hint = "Add a check that scores outputs: right: {score: exact, max_drop: 3 points}"
        raise fail(document.marks["checks"], "checks: only live traffic could decide these", hint)
    confidence = _confidence(values.get("confidence"))
    variants = _variants(values.get("variants"), file)
    _require_runnable(values, variants, document)
    _require_recordings(values, variants, document, file)
    return Spec(
        feature=values["feature"],
        path=file,
        run=values.get("run"),
        cases=_cases(document),
        checks=checks,
        variants=variants,
        baseline=_baseline(values, variants, document),
        confidence=confidence,
        touches=values.get("touches", ()),
        owner=_part(OWNER, values, "owner"),
        purpose=values.get("purpose", ""),
        value=_part(VALUE, values, "value"),
        live=_live(values),
        data=_data(values),
        live_checks=tuple(check for check in given if check.score in LIVE_ONLY),
        ship=_ship(values, variants),
        digest=_digest(checks, confidence, file.parent),
    )


def files(path: Path) -> tuple[Path, ...]:
    """The contract's own file and those it extends, nearest first; of one that ``load`` can read."""
    found = [path.resolve()]
    document, key = read_document(path), TOP.get("extends")
    assert key is not None
    while "extends" in document:
        mark = document.marks["extends"]
        found.append(beside(sections.value_of(key, document["extends"], mark, ""), mark))
        document = read_document(found[-1])
    return tuple(found)


def read_document(file: Path) -> Map:
    """One file as a mapping with marks, before its keys are looked at.

    Raises:
        SpecError: when it is missing, over 1 MB, not UTF-8, not YAML, or not a mapping.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as cause:
        hint = "Name a spec.yaml or its folder."
        raise SpecError(f"cannot be read: {cause.strerror}", file=file, hint=hint) from None
    if len(data) > MAX_BYTES:
        hint = "A contract is short; cases go into files."
        raise SpecError(f"is larger than {MAX_BYTES:,} bytes", file=file, hint=hint)
    document = parse(decode(data, file=file, error=SpecError), file=file, error=SpecError)
    if not isinstance(document, Map):
        what = "is empty" if document is None else "is not a mapping of keys"
        raise SpecError(what, file=file, line=1, hint="A contract starts with feature: and checks:.")
    return document


def _with_defaults(file: Path, seen: tuple[Path, ...]) -> Map:
    """The document over the ones it extends."""
    document = read_document(file)
    if "extends" not in document:
        return document
    key = TOP.get("extends")
    assert key is not None
    mark = document.marks["extends"]
    parent = beside(sections.value_of(key, document["extends"], mark, ""), mark)
    chain = (*seen, file.resolve())
    if parent in chain:
        raise fail(mark, f"extends: {parent.name} extends this file in turn", "Break the circle.")
    if not parent.is_file():
        raise fail(mark, f"extends: there is no file {document['extends']}", f"Looked for {parent}")
    under = _with_defaults(parent, chain)
    for name in SERVER_KEYS & under.keys():
        del under[name]
    return _over(document, under)


def _over(top: Map, under: Map) -> Map:
    """``top``, with what only ``under`` has; mappings are merged key by key. Marks stay with their keys."""
    merged = Map(top.mark)
    for source in (under, top):
        for name, value in source.items():
            below = merged.get(name)
            if isinstance(value, Map) and isinstance(below, Map):
                value = _over(value, below)
            merged[name] = value
            merged.marks[name] = source.marks[name]
    return merged


def _checks(mapping: Map, mark: Mark) -> tuple[Check, ...]:
    if not mapping:
        hint = "Add right: {score: exact, max_drop: 3 points}"
        raise fail(mark, "checks: a contract without checks decides nothing", hint)
    checks = []
    for name, body in mapping.items():
        at = mapping.marks[name]
        where = f"checks.{_name(name, at, 'checks')}"
        checks.append(read_check(name, _map(body, at, where), at))
    return tuple(checks)


def _confidence(mapping: Map | None) -> Confidence:
    if mapping is None:
        return Confidence()
    rates = sections.read(CONFIDENCE, mapping, "confidence")
    for name, rate in rates.items():
        if not 0 < rate <= 0.5:
            message = f"confidence.{name}: an error rate is above 0% and at most 50%"
            raise fail(mapping.marks[name], message, "5% is usual.")
    return Confidence(**rates)


def _variants(mapping: Map | None, file: Path) -> dict[str, Variant]:
    variants = {}
    for name, body in (mapping or Map(Mark(file, 1))).items():
        assert mapping is not None
        mark = mapping.marks[name]
        where = f"variants.{_name(name, mark, 'variants')}"
        body = _map(body, mark, where)
        settings = {key: plain(value) for key, value in sections.read(VARIANT, body, where).items()}
        if "prompt" in settings:
            settings["prompt"] = _prompt(settings["prompt"], body.marks["prompt"], file, where)
        run = settings.pop("run", None)
        if run is not None:
            _refuse_bad_run(run, body.marks["run"], f"{where}.run")
        variants[name] = Variant(name=name, settings=settings, run=run, root=file.parent)
    return variants


def _prompt(name: str, mark: Mark, file: Path, where: str) -> str:
    """The prompt's path relative to the spec, also where an extended file names it."""
    path = beside(name, mark)
    if not path.is_file():
        raise fail(mark, f"{where}.prompt: there is no file {name}", f"Looked for {path}")
    return name if mark.file == file else os.path.relpath(path, file.parent.resolve())


def _cases(document: Map) -> dict[str, Path]:
    """Split -> file. A single file is the gate."""
    value, mark = document["cases"], document.marks["cases"]
    if isinstance(value, Map):
        names = sections.read(CASES, value, "cases")
        marks = value.marks
    else:
        names, marks = {"gate": value}, {"gate": mark}
    paths = {}
    for split, name in names.items():
        paths[split] = beside(name, marks[split])
        if not paths[split].is_file():
            raise fail(marks[split], f"cases: there is no file {name}", f"Looked for {paths[split]}")
        if split == "dev" and paths[split].suffix == ".sealed":
            hint = "What is tuned on has to be read. Seal gate or must cases."
            raise fail(marks[split], "cases.dev: these cases are sealed", hint)
    return paths


def _require_runnable(values: dict[str, Any], variants: dict[str, Variant], document: Map) -> None:
    if "run" in values:
        _refuse_bad_run(values["run"], document.marks["run"], "run")
        return
    if not variants:
        message = "there is nothing to run: no run, and no variants"
        raise fail(document.mark, message, "Add run: module:function")
    for name, variant in variants.items():
        if variant.run is None and "model" not in variant:
            message = f"variants.{name} has neither model nor run, and the contract has no run"
            hint = "Add model: local:smollm2-135m, or run: module:function"
            raise fail(document["variants"].marks[name], message, hint)


def _require_recordings(
    values: dict[str, Any], variants: dict[str, Variant], document: Map, file: Path
) -> None:
    """Every ``recorded:FILE`` that is run, or asked as a model, is there, beside the contract."""
    named = [("run", values.get("run"), document.marks.get("run"))]
    for name, variant in variants.items():
        marks = document["variants"][name].marks
        where = f"variants.{name}"
        named.append((f"{where}.run", variant.run, marks.get("run")))
        named.append((f"{where}.model", variant.get("model"), marks.get("model")))
    for label, value, mark in named:
        if mark is not None and isinstance(value, str) and value.startswith(RECORDED):
            path = beside(value.removeprefix(RECORDED), Mark(file, mark.line))
            if not path.is_file():
                raise fail(mark, f"{label}: there is no file {path.name}", f"Looked for {path}")


def _refuse_bad_run(run: str, mark: Mark, label: str) -> None:
    """``module:function``, http(s) URL, or a command line."""
    if FUNCTION.fullmatch(run) or re.match(r"https?://[^\s/]+\S*$", run):
        return
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", run):
        hint = "Use module:function, an http(s) URL or a command line."
        raise fail(mark, f"{label}: {run!r} is not an http(s) URL", hint)
    if "\n" in run or "\0" in run:
        raise fail(mark, f"{label}: a command is one line", "Put the lines into a script.")


def _baseline(values: dict[str, Any], variants: dict[str, Variant], document: Map) -> str | None:
    baseline: str | None = values.get("baseline")
    if baseline is not None and baseline not in variants:
        near = sections.nearest(baseline, variants)
        guess = f"Did you mean {near!r}? " if near else ""
        known = ", ".join(variants) or "none"
        message = f"baseline: there is no variant {baseline!r}"
        raise fail(document.marks["baseline"], message, f"{guess}Variants: {known}.")
    return baseline


def _part(section: Section, values: dict[str, Any], name: str) -> dict[str, Any]:
    return sections.read(section, values[name], name) if name in values else {}


def _live(values: dict[str, Any]) -> dict[str, Any]:
    live = _part(LIVE, values, "live")
    if live.get("sample", 1.0) == 0.0:
        raise fail(values["live"].marks["sample"], "live.sample: it is more than 0%", "10% is usual.")
    return live


def _ship(values: dict[str, Any], variants: dict[str, Variant]) -> Ship:
    ship = _part(SHIP, values, "ship")
    if not ship:
        return Ship()
    marks = values["ship"].marks
    if ship.get("unit", "user") not in UNITS:
        raise sections.unknown(ship["unit"], UNITS, marks["unit"], "ship.unit")
    shadow = ship.get("shadow", 0)
    if shadow != int(shadow):
        raise fail(marks["shadow"], "ship.shadow: a number of requests is whole", "200 is usual.")
    for name in ship.get("fallback", ()):
        if ":" not in name and name not in variants:
            raise sections.unknown(name, variants, marks["fallback"], "ship.fallback")
    named = {"give_up": "give_up_s", "outcome_after": "outcome_after_s"}
    return Ship(**{named.get(key, key): value for key, value in ship.items()} | {"shadow": int(shadow)})


def _data(values: dict[str, Any]) -> dict[str, Any]:
    data = _part(DATA, values, "data")
    for kind in data.get("redact", ()):
        if kind not in REDACTABLE:
            raise sections.unknown(kind, REDACTABLE, values["data"].marks["redact"], "data.redact")
    return data


def _map(value: Any, mark: Mark, where: str) -> Map:
    if not isinstance(value, Map):
        raise fail(mark, f"{where} is not a mapping", f"Write {where.split('.')[-1]}: {{key: value}}")
    return value


def _name(name: str, mark: Mark, where: str) -> str:
    try:
        return str(NAME.read(name))
    except ValueError as cause:
        raise fail(mark, f"{where}: {name!r} is no name: {cause}", "Rename it.") from None


def _digest(checks: tuple[Check, ...], confidence: Confidence, root: Path) -> str:
    """What the decision depends on: clauses, params, the content of rubrics, schemas and scoring functions.

    Labels stay out: they tell how far to trust a judge, they do not change what it measures.
    """
    parts = []
    for check in sorted((check for check in checks if check.clauses), key=lambda check: check.name):
        params = {name: value for name, value in check.params.items() if name != "labels"}
        for name in ("rubric", "schema"):
            if isinstance(params.get(name), str):
                params[name] = digest_of(Path(params[name]).read_bytes())
        clauses = sorted((clause.kind, clause.bound, clause.comfortable) for clause in check.clauses)
        parts.append([check.name, check.score, _code(check.score, root), params, clauses])
    return digest_of(parts, msgspec.to_builtins(confidence))


def _code(score: str, root: Path) -> str | None:
    """Digest of the scoring function's module, where it stands beside the spec."""
    module, colon, _ = score.partition(":")
    file = root / (module.replace(".", "/") + ".py")
    return digest_of(file.read_bytes()) if colon and file.is_file() else None
