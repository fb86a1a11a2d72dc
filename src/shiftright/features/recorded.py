"""``recorded:FILE``: a feature that gives the answers it gave before, as the data they were.

Rows of JSON lines ``{case_id, repeat, output | error, tokens?, latency_ms?}``, as for a recorded model, but whole
answers: no model stands between the row and the output.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.answer import Usage
from shiftright.errors import (
    AnswerMalformed,
    DatasetError,
    FeatureError,
    ModelError,
    ModelRefused,
    ModelTimeout,
    ProviderError,
)
from shiftright.features.reply import Reply
from shiftright.models.scope import current

_ERRORS: dict[str, type[FeatureError | ModelError]] = {
    kind.code: kind
    for kind in (FeatureError, ModelError, ModelTimeout, ModelRefused, AnswerMalformed, ProviderError)
}


class _Row(msgspec.Struct, frozen=True):
    case_id: str | int
    repeat: int = 0
    output: Any = None
    error: str | dict[str, Any] | None = None
    tokens: int | dict[str, int] | None = None
    latency_ms: float | None = None


class Recording:
    """The rows of one file, by case and repeat.

    Raises:
        DatasetError: the file is missing, a row cannot be read, or two rows answer the same call.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = _read(path)

    @property
    def repeats(self) -> frozenset[int]:
        """Those that some case has an answer of."""
        return frozenset(repeat for _, repeat in self._rows)

    async def answer(self, value: Any) -> Reply:
        scope = current()
        assert scope is not None  # a feature runs inside call()
        row = self._rows.get((scope.case_id, scope.repeat))
        if row is None:
            raise DatasetError(
                f"no recorded answer for case {scope.case_id!r}, repeat {scope.repeat}",
                file=self.path,
                hint="Record it, or evaluate only the recorded cases and repeats.",
            )
        if row.error is not None:
            raise _failure(row.error)
        return Reply(
            row.output, None if row.latency_ms is None else row.latency_ms / 1000, _usage(row.tokens)
        )


def _read(path: Path) -> Mapping[tuple[str, int], _Row]:
    decoder = msgspec.json.Decoder(_Row)
    rows: dict[tuple[str, int], _Row] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as cause:
        raise DatasetError(f"cannot read the recorded answers: {cause.strerror}", file=path) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            hint = 'Each line is one JSON object like {"case_id": "c1", "repeat": 0, "output": "…"}.'
            raise DatasetError(f"not a recorded answer: {cause}", file=path, line=number, hint=hint) from None
        key = (str(row.case_id), row.repeat)
        if key in rows:
            raise DatasetError(
                f"a second answer for case {key[0]!r}, repeat {key[1]}", file=path, line=number,
                hint="Number repeated answers: repeat: 0, 1, …",
            )  # fmt: skip
        rows[key] = row
    return rows


def _failure(error: str | dict[str, Any]) -> FeatureError | ModelError:
    kind, message = (error, error) if isinstance(error, str) else (error.get("kind"), error.get("message"))
    return _ERRORS.get(str(kind), FeatureError)(f"recorded failure: {message}")


def _usage(tokens: int | dict[str, int] | None) -> Usage:
    counts = tokens if isinstance(tokens, dict) else {"output": tokens or 0}
    return Usage(counts.get("input", 0), counts.get("output", 0))
