"""The one way into a feature: functions of all shapes, and failures as data."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from feature_calls import Load, answer
from hypothesis import given
from hypothesis import strategies as st

from shiftright import features
from shiftright.core.answer import Failure
from shiftright.errors import CapReached, CredentialsError, SpecError
from shiftright.features.plain import to_plain
from shiftright.models.budget import Budget

SHAPES = {
    "async": "async def run(message: str) -> str: return message.upper()",
    "plain": "def run(message: str) -> str: return message.upper()",
    "no annotations": "def run(x): return x.upper()",
    "decorated": "from shiftright.features import feature\n@feature\nasync def run(m: str) -> str: return m.upper()",
    "object": "class F:\n    async def __call__(self, m: str) -> str: return m.upper()\nrun = F()",
    "partial": "from functools import partial\ndef f(m, end): return m.upper() + end\nrun = partial(f, end='')",
    "built-in": "run = str.upper",
    "lambda": "run = lambda x: x.upper()",
    "gives a coroutine": "async def f(x): return x.upper()\ndef run(x): return f(x)",
    "with context": "from shiftright.features import Context\n"
    "def run(m: str, ctx: Context) -> str: return getattr(m, ctx.variant['how'])()",
    "keyword context": "from shiftright.features import Context\n"
    "async def run(m, *, ctx: Context): return getattr(m, ctx.variant['how'])()",
}


@pytest.mark.parametrize("code", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_of_function(load: Load, code: str) -> None:
    found = answer(load(code, how="upper"), "hi")
    assert (found.output, found.failure) == ("HI", None)
    assert 0 < found.latency_s < 1


TYPED = """
from __future__ import annotations
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing_extensions import TypedDict
from pydantic import BaseModel

class Queue(Enum):
    BILLING = "billing"

class Ticket(BaseModel):
    text: str
    opened: date

@dataclass
class Route:
    queue: Queue
    days: set[int]

class Reply(TypedDict):
    route: Route
    ticket: Ticket

def run(ticket: Ticket) -> Reply:
    return {"route": Route(Queue.BILLING, {3, 1}), "ticket": ticket}
"""


def test_typed_input_and_output(load: Load) -> None:
    loaded = load(TYPED)
    found = answer(loaded, {"text": "hi", "opened": "2026-11-22"})
    assert found.output == {
        "route": {"queue": "billing", "days": [1, 3]},
        "ticket": {"text": "hi", "opened": "2026-11-22"},
    }
    schema = loaded.output_schema
    assert schema is not None
    assert set(schema["required"]) == {"route", "ticket"}


def test_an_input_that_does_not_fit_says_where(load: Load) -> None:
    failure = answer(load(TYPED), {"text": 3}).failure
    assert failure is not None
    assert failure.kind == "feature"
    assert "ticket.text: Input should be a valid string; ticket.opened: Field required" in failure.message


def test_a_conversation_is_a_list_of_messages(load: Load) -> None:
    loaded = load("def run(messages: list[dict]) -> int: return len(messages[-1]['content'])")
    assert answer(loaded, [{"role": "user", "content": "four"}]).output == 4


def test_what_a_feature_changes_is_not_the_case(load: Load) -> None:
    value = {"items": [1, 2]}
    loaded = load("def run(x): x['items'].clear(); return x")
    assert answer(loaded, value).output == {"items": []}
    assert value == {"items": [1, 2]}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def run(x):\n    y = {}\n    return y['queue']", r"KeyError: 'queue' \(.*feature.py:3\)"),
        (
            "async def run(x):\n    import json\n    return json.loads('{')",
            r"JSONDecodeError: .*feature.py:3\)",
        ),
        ("def run(x): raise SystemExit(2)", r"ended the program \(exit status 2\) \(.*feature.py:1\)"),
        ("def run(x): return run(x)", r"RecursionError: .*feature.py:1\)"),
        ("def run(x): raise StopIteration", r"StopIteration"),
        ("def run(x): return float('nan')", "nan, which JSON does not have"),
        ("def run(x): return [1, {'a': float('inf')}]", "inf, which JSON does not have"),
        ("def run(x): return object()", "returned object, which is not JSON data"),
        ("def run(x): return '\\ud800'", "not Unicode"),
        ("def run(x): return 2**70", "more than 64 bits"),
        ("def run(x):\n    a = []\n    a.append(a)\n    return a", "RecursionError"),
        ("def run(x): raise TimeoutError('socket')", "TimeoutError: socket"),
    ],
)
def test_a_failure_is_data_with_its_place(load: Load, code: str, message: str) -> None:
    found = answer(load(code), "hi", timeout_s=5)
    assert found.output is None
    assert found.failure is not None
    assert found.failure.kind == "feature"
    import re

    assert re.search(message, found.failure.message)


@pytest.mark.parametrize(
    "raised",
    [
        "ValueError('half \\ud800')",
        "ModelRefused('half \\ud800')",
        "SystemExit('half \\ud800')",
        "RecursionError('half \\ud800')",
    ],
)
def test_a_failure_can_be_stored_whatever_its_text(load: Load, raised: str) -> None:
    found = answer(
        load(f"from shiftright.errors import ModelRefused\ndef run(x): raise {raised}"), "hi"
    ).failure
    assert found is not None
    assert "half \\ud800" in msgspec.json.decode(msgspec.json.encode(found))["message"]


def test_an_error_that_cannot_say_itself_is_a_failure(load: Load) -> None:
    code = "class E(Exception):\n    def __str__(self): raise KeyError('x')\ndef run(x): raise E"
    found = answer(load(code), "hi").failure
    assert found is not None
    assert found.message.startswith("E: ")


def test_model_errors_keep_their_kind(load: Load) -> None:
    code = "from shiftright.errors import ModelRefused\nasync def run(x): raise ModelRefused('not this one')"
    assert answer(load(code), "hi").failure == Failure("refused", "not this one")


@pytest.mark.parametrize(
    "body",
    [
        "raise CapReached('cap')",
        "\n    try: raise CapReached('cap')\n    except CapReached as e: raise ValueError('hidden') from e",
        "\n    try: raise CapReached('cap')\n    finally: {}['replaced']",
        "raise ExceptionGroup('two', [ValueError(), CapReached('cap')])",
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_stops_a_run_gets_through(load: Load, body: str, kind: str) -> None:
    loaded = load(f"from shiftright.errors import CapReached\n{kind} run(x): {body}")
    with pytest.raises(CapReached, match="cap"):
        answer(loaded, "hi")


def test_interrupts_and_cancellation_get_through(load: Load) -> None:
    loaded = load("import asyncio\nasync def run(x): await asyncio.sleep(60)")

    async def cancelled() -> None:
        task = asyncio.create_task(features.call(loaded, 1, case_id="c"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_a_call_that_takes_too_long(load: Load, kind: str) -> None:
    codes = {
        "async": "import asyncio\nasync def run(x): await asyncio.sleep(60)",
        "plain": "import time\ndef run(x): time.sleep(0.3)",
    }
    start = time.perf_counter()
    found = answer(load(codes[kind]), "hi", timeout_s=0.05)
    assert found.failure == Failure("timeout", "no answer within 0.05 s")
    assert time.perf_counter() - start < 0.25


def test_plain_functions_do_not_hold_up_the_loop_or_each_other(load: Load) -> None:
    loaded = load("import time\ndef run(x): time.sleep(0.1); return x")

    async def many() -> tuple[list[Any], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        found = await asyncio.gather(*(features.call(loaded, n, case_id=str(n)) for n in range(40)))
        ticking.cancel()
        return [(a.output, a.latency_s) for a in found], ticks

    start = time.perf_counter()
    found, ticks = asyncio.run(many())
    assert time.perf_counter() - start < 0.5
    assert [output for output, _ in found] == list(range(40))
    assert ticks >= 5
    # Waiting for a thread is not the feature's latency.
    assert all(0.1 <= latency < 0.2 for _, latency in found)


def test_context_variables_reach_threads(load: Load) -> None:
    loaded = load(
        "from shiftright.features import variant\ndef run(x): return variant('triage')['prompt']",
        prompt="p.md",
    )
    assert answer(loaded, "hi").output == "p.md"


def test_steps_are_spans(load: Load) -> None:
    code = """
        from shiftright.features import Context
        async def run(x, ctx: Context):
            with ctx.step("retrieve", k=2) as step:
                step.set("hits", 1)
                with ctx.step("rank"):
                    return x
    """
    spans = answer(load(code), "hi").spans
    assert [(s.name, s.parent, s.attributes) for s in spans] == [
        ("retrieve", -1, {"k": 2, "hits": 1}),
        ("rank", 0, {}),
    ]
    assert answer(load(code), "hi", record=False).spans == ()


def test_calls_at_once_keep_their_own_variant(load: Load, tmp_path: Path) -> None:
    code = """
        import asyncio
        from shiftright.features import variant
        async def run(x):
            before = variant("triage")["n"]
            await asyncio.sleep(0.01)
            return [before, variant("triage")["n"]]
    """
    first, second = load(code, n=1), load(code, n=2)

    async def both() -> list[Any]:
        found = await asyncio.gather(*(features.call(f, 0, case_id="c") for f in (first, second)))
        return [answer.output for answer in found]

    assert asyncio.run(both()) == [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def run(): pass", "run takes no input"),
        ("def run(a, b): pass", "run takes 'b' besides its input 'a'"),
        ("async def run(x):\n    yield x", "run is a generator"),
        ("class run: pass", "run is a class"),
        ("run = 3", "cannot be called"),
        ("from __future__ import annotations\ndef run(x: Nothing): pass", "an annotation that names nothing"),
    ],
)
def test_what_cannot_be_a_feature_is_said_at_loading(load: Load, code: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        load(code)
    assert caught.value.file is not None
    assert caught.value.line is not None


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_plain_data_stays_what_it_is(data: Any) -> None:
    assert to_plain(data) == data


def test_numpy_values_become_plain() -> None:
    import numpy as np

    assert to_plain({"label": np.int64(3), "p": np.float32(0.5), "v": np.array([[1.0], [2.0]])}) == {
        "label": 3,
        "p": 0.5,
        "v": [[1.0], [2.0]],
    }


def test_the_budget_reaches_the_models(load: Load, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text(
        '{"case_id": "c1", "output": "billing", "latency_ms": 250, "tokens": 5}\n'
    )
    code = """
        from shiftright.features import Context
        async def run(x, ctx: Context): return await ctx.ask(x)
    """
    loaded = load(code, model="recorded:answers.jsonl")
    found = answer(loaded, "hi")
    assert found.output == "billing"
    assert found.latency_s >= 0.25
    assert found.usage.output_tokens == 5
    with pytest.raises(CapReached):
        answer(loaded, "hi", budget=Budget(max_calls=0))


def test_a_missing_key_stops(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    code = """
        from shiftright.features import Context
        async def run(x, ctx: Context): return await ctx.ask(x)
    """
    with pytest.raises(CredentialsError, match="OPENAI_API_KEY"):
        answer(load(code, model="openai:gpt-5"), "hi")


@pytest.mark.parametrize("rest", ["return 'other'", "raise ValueError('fallback failed')"])
def test_a_swallowed_cap_does_not_become_an_answer(load: Load, tmp_path: Path, rest: str) -> None:
    (tmp_path / "answers.jsonl").write_text('{"case_id": "c1", "output": "billing"}\n')
    code = f"""
        from shiftright.features import Context
        async def run(x, ctx: Context):
            try:
                return await ctx.ask(x)
            except Exception:
                pass
            {rest}
    """
    with pytest.raises(CapReached):
        answer(load(code, model="recorded:answers.jsonl"), "hi", budget=Budget(max_calls=0))
