"""inspect-ai: ``.eval`` logs (zip) and ``.json`` logs, epochs as repeats."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import msgspec

from shiftright.datasets.result_files import zip_members
from shiftright.datasets.result_files.rows import ResultFile, ResultRow, number_of, score_of
from shiftright.datasets.result_files.source import Source
from shiftright.errors import DatasetError

_ATTACHMENT = "attachment://"


class InspectLog:
    title = "inspect-ai (.eval or .json log)"
    general = False

    def recognises(self, source: Source) -> bool:
        if source.data[:4] == b"PK\x03\x04":
            return source.suffix == ".eval" or b"_journal/" in source.data[:4096]
        document = source.json
        return (
            isinstance(document, dict)
            and "eval" in document
            and {"plan", "samples"} & document.keys() != set()
        )

    def read(self, source: Source) -> ResultFile:
        header, samples = (
            _zipped(source) if source.data[:2] == b"PK" else (source.json, source.json.get("samples"))
        )
        warnings = []
        status = header.get("status", "unknown")
        if status != "success":
            warnings.append(f"The log's run did not finish (status {status}).")
        unread: dict[str, DatasetError] = {}
        rows = [_row(sample, unread) for sample in samples or [] if isinstance(sample, dict)]
        for name, cause in unread.items():
            if any(name in row.scores for row in rows):
                raise source.error(cause.message, hint=cause.hint)
            warnings.append(f"{name} is never a number: left out.")
        return ResultFile("inspect", tuple(rows), (), tuple(warnings))


def _zipped(source: Source) -> tuple[dict[str, Any], list[Any]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(source.data))
    except zipfile.BadZipFile:
        raise source.error("is an inspect log (.eval) that breaks off") from None
    with archive:
        names = archive.namelist()
        header = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
        if header is None:
            raise source.error("is a zip file, but no log of inspect: it has no header.json")
        budget = zip_members.Budget()
        first = _json(zip_members.read(archive, header, source, budget), source)
        members = [name for name in names if name.startswith("samples/") and name.endswith(".json")]
        samples = [_json(zip_members.read(archive, name, source, budget), source) for name in members]
    return first if isinstance(first, dict) else {}, samples


def _json(data: bytes, source: Source) -> Any:
    import json

    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return json.loads(data)  # NaN, which Python writes
        except (ValueError, RecursionError) as cause:
            raise source.error(f"is an inspect log with a broken sample: {cause}") from None


def _row(sample: dict[str, Any], unread: dict[str, DatasetError]) -> ResultRow:
    texts = sample.get("attachments") if isinstance(sample.get("attachments"), dict) else {}
    error = sample.get("error")
    failure = error.get("message", "error") if isinstance(error, dict) else error
    epoch = sample.get("epoch")
    latency = number_of(sample.get("working_time"))
    return ResultRow(
        case_id=str(sample.get("id")),
        input=_resolved(_input(sample.get("input")), texts),
        output=_resolved(_completion(sample.get("output")), texts),
        expected=sample.get("target"),
        scores=_scores(sample, unread),
        failure=None if not failure else str(failure),
        latency_s=number_of(sample.get("total_time")) if latency is None else latency,
        repeat=max(0, epoch - 1) if isinstance(epoch, int) else 0,
    )


def _input(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [
        {"role": turn.get("role"), "content": turn.get("content")} for turn in value if isinstance(turn, dict)
    ]


def _completion(output: Any) -> Any:
    if not isinstance(output, dict):
        return None
    if isinstance(output.get("completion"), str):
        return output["completion"]
    choices = output.get("choices")
    message = choices[0].get("message") if isinstance(choices, list) and choices else None
    return message.get("content") if isinstance(message, dict) else None


def _resolved(value: Any, texts: Any) -> Any:
    """Long texts stand once in ``attachments`` and are named by digest."""
    if isinstance(value, str) and value.startswith(_ATTACHMENT):
        return texts.get(value.removeprefix(_ATTACHMENT), value)
    if isinstance(value, list):
        return [_resolved(item, texts) for item in value]
    if isinstance(value, dict):
        return {key: _resolved(item, texts) for key, item in value.items()}
    return value


def _scores(sample: dict[str, Any], unread: dict[str, DatasetError]) -> dict[str, float]:
    """Scores that are numbers; ``unread`` keeps the first of each name that is none, since a label may be text."""
    given = sample.get("scores")
    if not isinstance(given, dict):
        given = {"score": sample["score"]} if isinstance(sample.get("score"), dict) else {}
    scores: dict[str, float] = {}
    for name, score in given.items():
        value = score.get("value") if isinstance(score, dict) else score
        parts = (
            {f"{name}/{key}": item for key, item in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        for part, item in parts.items():
            try:
                number = score_of(part, item)
            except DatasetError as cause:
                unread.setdefault(part, cause)
                continue
            if number is not None:
                scores[part] = number
    return scores
