"""What ``init`` writes, as text: cases from a table, and the contract, code and prompt that fit them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from shiftright.errors import DatasetError, UsageError

INPUT = ("input", "message", "text", "question", "prompt", "query", "utterance", "review", "content", "email")
EXPECTED = (
    "expected",
    "label",
    "answer",
    "queue",
    "category",
    "class",
    "intent",
    "target",
    "output",
    "output_expected",
)
KEPT = ("id", "tags", "group")
MOST_LABELS = 20
FEWEST_ROWS = 6
# A third of the inputs to tune on, the rest to decide with.
DEV_SHARE = 256 // 3
LARGEST_TABLE = 100_000_000


class Scaffold(NamedTuple):
    """``files``: name to content, relative to the folder. ``notes`` say what was made of the table."""

    feature: str
    files: dict[str, str]
    notes: list[str]


class Columns(NamedTuple):
    input: str
    expected: str


def template(name: str) -> str:
    return (files("shiftright.cli") / "scaffold" / name).read_text(encoding="utf-8")


def scaffold(folder: Path, feature: str, table: Path | None) -> Scaffold:
    """
    Raises:
        DatasetError, UsageError: when the table cannot be read or has no inputs or no expected answers.
    """
    text = template("triage.csv") if table is None else _read(table)
    name = table or Path("triage.csv")
    rows, columns, notes = _rows(text, name)
    split = _split(rows)
    labels = sorted({row["expected"]["answer"] for row in rows})
    few = len(labels) <= min(MOST_LABELS, len(rows) // 2)
    dev, gate = split
    if table is not None:
        kind = f"{len(labels)} labels, scored exactly" if few else "free text, scored by the words it shares"
        notes.insert(
            0,
            f"{table.name}: input from {columns.input!r}, expected answers from {columns.expected!r} ({kind})",
        )
    notes.append(
        f"{len(dev)} cases to tune on (dev), {len(gate)} to decide with (gate); equal inputs stay together"
    )
    score = "score: exact, field: answer" if few else "score: similarity, field: answer"
    instruction = (
        f"Answer with one of: {', '.join(labels)}." if few else "Answer the following as shortly as you can."
    )
    code = Template(template("feature.py.txt")).substitute(
        title=f"The feature {feature}: its input in, an answer out.",
        literal_import=", Literal" if few else "",
        answer_type=f"Literal[{', '.join(map(_python, labels))}]" if few else "str",
    )
    made = {
        "spec.yaml": Template(template("spec.yaml")).substitute(feature=feature, score=score),
        "feature.py": code,
        "prompts/ask.md": Template(template("prompt.md")).substitute(instruction=_literal(instruction)),
        "dev.jsonl": _jsonl(dev),
        "gate.jsonl": _jsonl(gate),
    }
    return Scaffold(feature, made, notes)


def _read(table: Path) -> str:
    try:
        with table.open("rb") as stream:
            data = stream.read(LARGEST_TABLE + 1)
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", file=table, hint="Name a CSV file.") from None
    if len(data) > LARGEST_TABLE:
        raise DatasetError("is larger than 100 MB", file=table, hint="A few hundred rows make a good gate.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DatasetError("is not UTF-8", file=table, line=line, hint="Save it as CSV in UTF-8.") from None


def _rows(text: str, table: Path) -> tuple[list[dict[str, Any]], Columns, list[str]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[dict[str, Any]] = []
    skipped = 0
    try:
        header = [name.strip() for name in next(reader, [])]
        columns = _columns(header, table)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                message = f"{len(cells)} cells under {len(header)} columns"
                raise DatasetError(
                    message, file=table, line=reader.line_num, hint='Put cells with commas in "quotes".'
                )
            row = _row(dict(zip(header, cells, strict=True)), columns)
            if row is None:
                skipped += 1
            else:
                rows.append(row)
    except csv.Error as error:
        raise DatasetError(
            f"not CSV: {error}", file=table, line=reader.line_num, hint='Put cells in "quotes".'
        ) from None
    if len(rows) < FEWEST_ROWS:
        raise DatasetError(
            f"{len(rows)} rows with an input and an expected answer: too few to begin with",
            file=table,
            hint=f"{FEWEST_ROWS} are the least, some hundred decide something.",
        )
    notes = [f"{skipped} rows without an input or an expected answer were left out"] if skipped else []
    return rows, columns, notes


def _columns(header: list[str], table: Path) -> Columns:
    lower = {name.lower(): name for name in header}
    given = next((lower[name] for name in INPUT if name in lower), None)
    expected = next((lower[name] for name in EXPECTED if name in lower and lower[name] != given), None)
    if given is None and expected is not None:
        others = [name for name in header if name != expected and name.lower() not in KEPT]
        given = others[0] if len(others) == 1 else None
    if given is None or expected is None:
        what, names = ("inputs", INPUT) if given is None else ("expected answers", EXPECTED)
        raise UsageError(
            f"no column of {what} among {', '.join(header) or 'no columns at all'}",
            file=table,
            line=1,
            hint=f"Name it in the first line as one of: {', '.join(names)}.",
        )
    return Columns(given, expected)


def _row(cells: dict[str, str], columns: Columns) -> dict[str, Any] | None:
    value, expected = cells[columns.input], cells[columns.expected].strip()
    if not value.strip() or not expected:
        return None
    row: dict[str, Any] = {"input": value, "expected": {"answer": expected}}
    lower = {name.lower(): cell for name, cell in cells.items()}
    for name in ("id", "group"):
        if lower.get(name):
            row[name] = lower[name]
    if lower.get("tags"):
        row["tags"] = [tag.strip() for tag in lower["tags"].replace(";", ",").split(",") if tag.strip()]
    return row


def _split(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """By a hash of the group or the input, so that equal inputs never stand on both sides, and a longer table later
    splits alike."""
    dev: list[dict[str, Any]] = []
    gate: list[dict[str, Any]] = []
    for row in rows:
        unit = str(row.get("group") or row["input"])
        (dev if hashlib.blake2b(unit.encode(), digest_size=1).digest()[0] < DEV_SHARE else gate).append(row)
    # a small table may fall on one side
    for side, other in ((dev, gate), (gate, dev)):
        if not side:
            side.append(other.pop())
    return dev, gate


def _jsonl(rows: list[dict[str, Any]]) -> str:
    ids = Counter(row["id"] for row in rows if "id" in row)
    lines = []
    for row in rows:
        if ids.get(row.get("id", ""), 0) > 1:  # not one case's name, then
            row = {key: value for key, value in row.items() if key != "id"}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines)


def _python(label: str) -> str:
    return json.dumps(label)


def _literal(text: str) -> str:
    """Words of the table as text of a prompt template."""
    return (
        text if not any(mark in text for mark in ("{{", "{%", "{#")) else "{% raw %}" + text + "{% endraw %}"
    )
