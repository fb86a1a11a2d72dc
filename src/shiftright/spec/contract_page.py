"""The contract reference as Markdown (docs/contract.md), made from the table of keys."""

from __future__ import annotations

from shiftright.spec.keys import (
    CASES,
    CHECK,
    CONFIDENCE,
    DATA,
    LIVE,
    OWNER,
    SCORERS,
    SHIP,
    TOP,
    VALUE,
    VARIANT,
    Key,
    Section,
)

_INTRODUCTION = """\
# The contract: spec.yaml

One file per feature says what must hold. It is plain YAML 1.2 data (`no` and `on` are words, tags are refused, a
key may stand only once); every error names the file and the line. Paths are relative to the file that names them.

```yaml
feature: triage
run: triage:triage
cases: cases.jsonl
checks:
  right:   {score: exact, max_drop: 3 points}
  json:    {score: schema, never_fails: true}
  cost:    {mean_at_most: 0.0004 USD, each_at_most: 0.01 USD}
  latency: {p95_at_most: 2 s}
```

Values: fractions `70%` or `0.7` · points `3 points` or `0.03` · times `800 ms`, `2 s`, `1 min`, `14 days` · money
`0.0004 USD` or `$0.0004`.

*This page is generated: `python -c "from shiftright import spec; print(spec.reference(), end='')"`.*
"""


def reference() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for section in (TOP, CASES, CHECK, VARIANT, CONFIDENCE, OWNER, VALUE, SHIP, LIVE, DATA):
        parts.append(f"## {_title(section)}\n\n{_table(section.keys)}")
        if section.open:
            parts.append("Any other key is a parameter of your own; the feature reads it from its variant.\n")
    parts.append(_scorers())
    parts.append(_unbuilt())
    return "\n".join(parts)


def _title(section: Section) -> str:
    return section.title if section is TOP else f"`{section.title}`"


def _table(keys: tuple[Key, ...]) -> str:
    lines = ["| key | value | what it says | example |", "|---|---|---|---|"]
    for key in keys:
        if key.engine:
            name = f"`{key.name}`" + (" (required)" if key.required else "")
            lines.append(f"| {name} | {key.kind.name} | {_cell(key.doc)} | `{_cell(key.shown)}` |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _scorers() -> str:
    lines = ["## Scorers and their params", "", "Written beside `score` in the check."]
    for name, keys in SCORERS.items():
        lines += ["", f"### `{name}`", "", _table(keys).rstrip() if keys else "No params."]
    lines += ["", "Plugins and functions (`module:function`) take any params.", ""]
    return "\n".join(lines)


def _unbuilt() -> str:
    lines = ["## Planned", "", "Known, but refused until their engines exist:", ""]
    for section in (TOP, CHECK, DATA):
        lines += [f"- `{key.shown}`: {key.doc}" for key in section.keys if not key.engine]
    return "\n".join(lines) + "\n"
