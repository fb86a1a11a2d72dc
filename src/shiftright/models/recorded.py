"""``recorded:FILE``: a model that gives the answers it gave before.

Rows of JSON lines: ``{case_id, repeat, output | error, tokens?, latency_ms?, call?}``. ``output`` that is not text
is given as JSON. ``error`` is an error's code (timeout, refused, malformed, provider), or ``{kind, message}``.
``tokens`` is the number of output tokens or ``{input, output}``. ``call`` counts the model calls of one feature call
from 0, for features that make several.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from shiftright.errors import (
    AnswerMalformed,
    DatasetError,
    ModelError,
    ModelRefused,
    ModelTimeout,
    ProviderError,
    UsageError,
)
from shiftright.models.layers import RECORDED_LATENCY
from shiftright.models.scope import current

_ERRORS: dict[str, type[ModelError]] = {
    kind.code: kind for kind in (ModelError, ModelTimeout, ModelRefused, AnswerMalformed, ProviderError)
}


class Row(msgspec.Struct, frozen=True):
    """One recorded answer. Keys it does not know are ignored: result files hold more than answers."""

    case_id: str | int
    repeat: int = 0
    output: Any = None
    error: str | dict[str, Any] | None = None
    tokens: int | dict[str, int] | None = None
    latency_ms: float = 0.0
    call: int = 0


class RecordedModel(Model):
    """Answers by the case, repeat and call of the current scope."""

    replayed = True

    def __init__(self, path: Path, rows: Mapping[tuple[str, int, int], Row]) -> None:
        super().__init__(profile=ModelProfile(supports_json_schema_output=True))
        self._path = path
        self._rows = rows

    @property
    def model_name(self) -> str:
        return self._path.name

    @property
    def system(self) -> str:
        return "recorded"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        scope = current()
        if scope is None:
            raise UsageError(
                f"{self._path} answers by case id, and this call belongs to no case",
                hint="Use it inside an eval, or name the case: models.scope.use(CallScope(case_id=…)).",
            )
        # The layer around this model has counted this call already, and nothing was awaited since.
        call = scope.calls - 1
        row = self._rows.get((scope.case_id, scope.repeat, call))
        if row is None:
            raise DatasetError(
                f"no recorded answer for case {scope.case_id!r}, repeat {scope.repeat}, call {call}",
                file=self._path,
                hint="Record it, or evaluate only the recorded cases and repeats.",
            )
        if row.error is not None:
            raise _failure(row.error)
        tokens = row.tokens if isinstance(row.tokens, dict) else {"output": row.tokens or 0}
        return ModelResponse(
            parts=[TextPart(content=row.output if isinstance(row.output, str) else _json(row.output))],
            usage=RequestUsage(input_tokens=tokens.get("input", 0), output_tokens=tokens.get("output", 0)),
            model_name=self.model_name,
            finish_reason="stop",
            metadata={RECORDED_LATENCY: row.latency_ms / 1000},
        )


def model(name: str, *, settings: Mapping[str, Any], root: Path) -> RecordedModel:
    """The model for ``recorded:FILE``; a relative file is beside the spec.

    Raises:
        DatasetError: when the file is missing, a row cannot be read, or two rows answer the same call.
    """
    path = root / name.partition(":")[2]
    try:
        stamp = path.stat()
    except OSError as error:
        raise DatasetError(f"cannot read the recorded answers: {error.strerror}", file=path) from error
    return RecordedModel(path, _read(path, stamp.st_mtime_ns, stamp.st_size))


# Keyed by what changes when the file does, so that a rewritten file is read again in the same process.
@lru_cache(maxsize=8)
def _read(path: Path, _changed: int, _size: int) -> dict[tuple[str, int, int], Row]:
    decoder = msgspec.json.Decoder(Row)
    rows: dict[tuple[str, int, int], Row] = {}
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = decoder.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise DatasetError(
                    f"not a recorded answer: {error}",
                    file=path,
                    line=line,
                    hint='Each line is one JSON object like {"case_id": "c1", "repeat": 0, "output": "…"}.',
                ) from error
            key = (str(row.case_id), row.repeat, row.call)
            if key in rows:
                raise DatasetError(
                    f"a second answer for case {key[0]!r}, repeat {key[1]}, call {key[2]}",
                    file=path,
                    line=line,
                )
            rows[key] = row
    return rows


def _failure(error: str | dict[str, Any]) -> ModelError:
    kind, message = (error, error) if isinstance(error, str) else (error.get("kind"), error.get("message"))
    return _ERRORS.get(str(kind), ModelError)(f"recorded failure: {message}")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
