from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from shiftright import models
from shiftright.errors import (
    AnswerMalformed,
    CapReached,
    DatasetError,
    ModelError,
    ModelRefused,
    ModelTimeout,
    ProviderError,
    UsageError,
)
from shiftright.models.scope import CallScope


def write(folder: Path, *rows: dict[str, Any]) -> None:
    (folder / "answers.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def ask(folder: Path, case_id: str, repeat: int = 0, **more: Any) -> models.Asked:
    model = models.resolve("recorded:answers.jsonl", root=folder)
    with models.scope.use(CallScope(case_id, repeat)):
        return asyncio.run(models.ask(model, "whatever", **more))


def test_answers_by_case_and_repeat(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"case_id": "a", "repeat": 0, "output": "one", "tokens": 7, "latency_ms": 1500},
        {"case_id": "a", "repeat": 1, "output": "two", "tokens": {"input": 20, "output": 3}, "score": 0.5},
        {"case_id": 7, "output": {"queue": "card"}},
    )
    assert ask(tmp_path, "a").output == "one"
    second = ask(tmp_path, "a", 1)
    assert (second.output, second.usage.input_tokens, second.usage.output_tokens) == ("two", 20, 3)
    assert ask(tmp_path, "7").output == '{"queue":"card"}'


def test_the_recorded_latency_is_reported_not_slept(tmp_path: Path) -> None:
    write(tmp_path, {"case_id": "a", "output": "one", "tokens": 7, "latency_ms": 90_000})
    model = models.resolve("recorded:answers.jsonl", root=tmp_path)
    began = time.perf_counter()
    with models.scope.use(CallScope("a")) as scope:
        asyncio.run(models.ask(model, "x"))
    wall = time.perf_counter() - began
    assert wall < 5
    assert scope.meter.latency_s(wall) == pytest.approx(90, abs=1)
    assert scope.meter.usage.output_tokens == 7
    assert scope.meter.cost_usd is None
    assert scope.meter.spent_usd == 0.0


def test_a_recorded_shape(tmp_path: Path) -> None:
    class Route(BaseModel):
        queue: str

    write(tmp_path, {"case_id": "a", "output": {"queue": "card"}})
    assert ask(tmp_path, "a", output=Route).output == Route(queue="card")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("timeout", ModelTimeout),
        ("refused", ModelRefused),
        ("malformed", AnswerMalformed),
        ({"kind": "provider", "message": "503"}, ProviderError),
        ("something else", ModelError),
    ],
)
def test_recorded_failures(tmp_path: Path, error: Any, kind: type[ModelError]) -> None:
    write(tmp_path, {"case_id": "a", "output": None, "error": error})
    with pytest.raises(kind, match="recorded failure") as caught:
        ask(tmp_path, "a")
    assert type(caught.value) is kind


def test_several_calls_of_one_case(tmp_path: Path) -> None:
    write(tmp_path, {"case_id": "a", "output": "first"}, {"case_id": "a", "call": 1, "output": "second"})
    model = models.resolve("recorded:answers.jsonl", root=tmp_path)

    async def both() -> list[str]:
        return [a.text for a in await asyncio.gather(models.ask(model, "x"), models.ask(model, "y"))]

    with models.scope.use(CallScope("a")):
        assert asyncio.run(both()) == ["first", "second"]


@pytest.mark.parametrize(("case_id", "repeat"), [("b", 0), ("a", 1)])
def test_what_was_not_recorded_stops_the_run(tmp_path: Path, case_id: str, repeat: int) -> None:
    write(tmp_path, {"case_id": "a", "output": "one"})
    with pytest.raises(
        DatasetError, match=f"no recorded answer for case '{case_id}', repeat {repeat}"
    ) as caught:
        ask(tmp_path, case_id, repeat)
    assert caught.value.file == str(tmp_path / "answers.jsonl")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'{"case_id": "a", "output": 1}\n{"case_id": "b", "out', 2),
        (b'{"output": 1}\n', 1),
        (b'{"case_id": "a", "output": "\xff\xfe"}\n', 1),
        (b'{"case_id": "a"}\n\n{"case_id": "a"}\n', 3),
    ],
    ids=["truncated", "foreign", "not UTF-8", "twice"],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, text: bytes, line: int) -> None:
    (tmp_path / "answers.jsonl").write_bytes(text)
    with pytest.raises(DatasetError) as caught:
        models.resolve("recorded:answers.jsonl", root=tmp_path)
    assert (caught.value.line, caught.value.file) == (line, str(tmp_path / "answers.jsonl"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothere\.jsonl"):
        models.check_credentials("recorded:nothere.jsonl", root=tmp_path)


def test_outside_of_a_case(tmp_path: Path) -> None:
    write(tmp_path, {"case_id": "a", "output": "one"})
    model = models.resolve("recorded:answers.jsonl", root=tmp_path)
    with pytest.raises(UsageError, match="belongs to no case"):
        asyncio.run(models.ask(model, "x"))


def test_calls_count_towards_the_cap_and_cost_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"case_id": "a", "output": "one"})
    model = models.resolve("recorded:answers.jsonl", root=tmp_path)
    budget = models.Budget(max_calls=1, max_cost_usd=0.0)
    with models.scope.use(CallScope("a", budget=budget)):
        asyncio.run(models.ask(model, "x"))
    with models.scope.use(CallScope("a", budget=budget)), pytest.raises(CapReached):
        asyncio.run(models.ask(model, "x"))


def test_a_rewritten_file_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, {"case_id": "a", "output": "one"})
    assert ask(tmp_path, "a").text == "one"
    write(tmp_path, {"case_id": "a", "output": "two"})
    os.utime(tmp_path / "answers.jsonl", ns=(1, 1))
    assert ask(tmp_path, "a").text == "two"


def test_many_rows_are_quick(tmp_path: Path) -> None:
    rows = 20_000
    (tmp_path / "answers.jsonl").write_text(
        "".join(
            f'{{"case_id": "c{n}", "repeat": 0, "output": "answer {n}", "tokens": 5}}\n' for n in range(rows)
        )
    )
    began = time.process_time()
    model = models.resolve("recorded:answers.jsonl", root=tmp_path)
    assert time.process_time() - began < 1

    async def all_of_them() -> None:
        for n in range(0, rows, 10):
            with models.scope.use(CallScope(f"c{n}")):
                assert (await models.ask(model, "x")).text == f"answer {n}"

    began = time.process_time()
    asyncio.run(all_of_them())
    assert (time.process_time() - began) / (rows / 10) < 1e-3
