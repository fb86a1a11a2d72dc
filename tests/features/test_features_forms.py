"""The other forms of ``run``: prompts, recorded answers, URLs, programs, LangGraph graphs."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from feature_calls import Load, answer

from shiftright.core.answer import Failure
from shiftright.errors import DatasetError, PromptError, SpecError


def recorded(folder: Path, *rows: Any) -> str:
    """A recorded model that gives these outputs, one per model call."""
    lines = [json.dumps({"case_id": "c1", "call": call, "output": row}) for call, row in enumerate(rows)]
    (folder / "model.jsonl").write_text("\n".join(lines))
    return "recorded:model.jsonl"


GENERATE = """
    from pydantic import BaseModel
    from shiftright.features import Context

    class Route(BaseModel):
        queue: str
        sure: float

    async def run(message: str, ctx: Context) -> Route:
        return await ctx.generate(output=Route, input=message)
"""


def test_generate_renders_asks_and_types(load: Load, tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("---\ntemperature: 0\n---\nRoute this: {{ input }}")
    model = recorded(tmp_path, '{"queue": "billing", "sure": 0.5}')
    found = answer(load(GENERATE, model=model, prompt="p.md"), "{{ 7 * 7 }} my card")
    assert found.output == {"queue": "billing", "sure": 0.5}
    assert found.model_calls == 1
    [span] = found.spans
    assert "Route this: {{ 7 * 7 }} my card" in str(span.attributes)


def test_a_malformed_answer_is_asked_for_again_and_counted(load: Load, tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("{{ input }}")
    model = recorded(tmp_path, "billing", '{"queue": "billing", "sure": 1}')
    found = answer(load(GENERATE, model=model, prompt="p.md"), "hi")
    assert found.output == {"queue": "billing", "sure": 1.0}
    assert found.model_calls == 2
    model = recorded(tmp_path, "a", "b", "c", "d")
    failure = answer(load(GENERATE, model=model, prompt="p.md"), "hi").failure
    assert failure is not None
    assert failure.kind == "malformed"


def test_several_prompts_by_setting_or_file(load: Load, tmp_path: Path) -> None:
    code = """
        from shiftright.features import Context
        async def run(message: str, ctx: Context) -> list[str]:
            return [await ctx.generate("draft", text=message), await ctx.generate("check.md", text=message)]
    """
    (tmp_path / "d.md").write_text("Draft {{ text }}")
    (tmp_path / "check.md").write_text("Check {{ text }}")
    found = answer(load(code, model=recorded(tmp_path, "one", "two"), draft="d.md"), "hi")
    assert found.output == ["one", "two"]
    assert [("Draft hi" in str(s.attributes), "Check hi" in str(s.attributes)) for s in found.spans] == [
        (True, False),
        (False, True),
    ]


def test_an_unknown_variable_stops(load: Load, tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Hello\n{{ inptu }}")
    with pytest.raises(PromptError, match="inptu") as caught:
        answer(load(GENERATE, model=recorded(tmp_path, "x"), prompt="p.md"), "hi")
    assert caught.value.line == 2


def test_agents_work_on_the_variants_model(load: Load, tmp_path: Path) -> None:
    code = """
        from pydantic_ai import Agent
        from shiftright.features import Context
        async def run(message: str, ctx: Context) -> str:
            return (await Agent(ctx.model()).run(message)).output
    """
    found = answer(load(code, model=recorded(tmp_path, "billing")), "hi")
    assert (found.output, found.model_calls) == ("billing", 1)


def test_a_prompt_and_a_recorded_model_give_the_outputs_as_they_are(load: Load, tmp_path: Path) -> None:
    rows = [
        {"case_id": "c1", "output": {"queue": "a"}, "latency_ms": 1500, "tokens": {"input": 3, "output": 2}},
        {"case_id": "c2", "error": "refused"},
        {"case_id": "c1", "repeat": 1, "error": {"kind": "provider", "message": "529"}},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for loaded in (load(run=None, model="recorded:rows.jsonl"), load(run="recorded:rows.jsonl")):
        found = answer(loaded, "hi")
        assert (found.output, found.latency_s, found.usage.input_tokens) == ({"queue": "a"}, 1.5, 3)
        assert answer(loaded, "hi", case_id="c2").failure == Failure("refused", "recorded failure: refused")
        assert answer(loaded, "hi", repeat=1).failure == Failure("provider", "recorded failure: 529")
        with pytest.raises(DatasetError, match="no recorded answer for case 'c3', repeat 0"):
            answer(loaded, "hi", case_id="c3")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('{"case_id": "a", "output": 1}\n{"case_id": "a", "output": 2}', "a second answer", 2),
        ('\n{"case_id": ', "not a recorded answer", 2),
        (None, "cannot read", None),
    ],
)
def test_a_recording_that_cannot_be_used(
    load: Load, tmp_path: Path, text: str | None, message: str, line: int | None
) -> None:
    if text is not None:
        (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(DatasetError, match=message) as caught:
        load(run="recorded:rows.jsonl")
    assert caught.value.line == line


def test_a_prompt_without_a_model_is_refused(load: Load) -> None:
    with pytest.raises(SpecError, match="variant 'plain' names no model"):
        load(run=None, prompt_is="missing")


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        wanted = body["input"]
        if wanted == "hang":
            time.sleep(0.3)
        status = wanted if isinstance(wanted, int) else 200
        text = (
            "<html>" if wanted == "html" else json.dumps({"seen": body, "connection": self.client_address[1]})
        )
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        with suppress(BrokenPipeError):  # the caller has given up
            self.end_headers()
            self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/triage"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_url_gets_input_and_settings(load: Load, url: str) -> None:
    found = answer(load(run=url, model="m"), {"a": 1})
    assert found.output["seen"] == {"input": {"a": 1}, "variant": {"model": "m"}}


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (500, "provider", "answered 500"),
        (429, "provider", "answered 429"),
        (404, "feature", "answered 404"),
        (302, "feature", "answered 302"),
        ("html", "feature", "gave no JSON: <html>"),
        ("hang", "timeout", "no answer within 0.1 s"),
    ],
)
def test_a_url_that_fails(load: Load, url: str, value: Any, kind: str, message: str) -> None:
    failure = answer(load(run=url), value, timeout_s=0.1).failure
    assert failure is not None
    assert failure.kind == kind
    assert message in failure.message


def test_a_url_nobody_listens_at(load: Load) -> None:
    failure = answer(load(run="http://127.0.0.1:9/"), 1).failure
    assert failure is not None
    assert failure.kind == "provider"


def program(folder: Path, code: str) -> str:
    (folder / "program.py").write_text(code)
    return f"{sys.executable} program.py"


def test_a_program_gets_json_and_gives_json(load: Load, tmp_path: Path) -> None:
    run = program(
        tmp_path, "import json, sys, os\nd = json.load(sys.stdin)\nprint(json.dumps([d, os.getcwd()]))"
    )
    loaded = load(run=run, model="m")
    assert answer(loaded, "it's; $HOME").output == [
        {"input": "it's; $HOME", "variant": {"model": "m"}},
        str(tmp_path),
    ]


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("import sys; print('no luck', file=sys.stderr); sys.exit(3)", "feature", "exit status 3: no luck"),
        ("print('hello')", "feature", "gave no JSON: hello"),
        ("pass", "feature", "gave no JSON: (nothing)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "feature", "ended with signal 15"),
        ("while True: print('x' * 100000)", "feature", "more than 10,000,000 bytes"),
    ],
)
def test_a_program_that_fails(load: Load, tmp_path: Path, code: str, kind: str, message: str) -> None:
    failure = answer(load(run=program(tmp_path, code)), "hi").failure
    assert failure is not None
    assert failure.kind == kind
    assert message in failure.message


def test_a_program_that_hangs_ends_with_its_children(load: Load, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\ntime.sleep(60)\n"
    )
    found = answer(load(run=program(tmp_path, code)), "hi", timeout_s=0.5)
    assert found.failure == Failure("timeout", "no answer within 0.5 s")
    child = Path("/proc", (tmp_path / "child").read_text())
    deadline = time.perf_counter() + 2
    while _runs(child) and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(process: Path) -> bool:
    """Not ended; one that waits to be collected by its new parent has."""
    try:
        return ") Z" not in (process / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_that_is_not_there(load: Load) -> None:
    with pytest.raises(SpecError, match="there is no program 'no-such-program'") as caught:
        load(run="no-such-program --fast")
    assert caught.value.line == 2


GRAPH = """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState
from shiftright.features import variant

class State(TypedDict):
    message: str
    queue: str

async def route(state: State) -> dict:
    return {"queue": variant("triage")["default"] if "card" in state["message"] else "other"}

builder = StateGraph(State)
builder.add_node("route", route)
builder.add_edge(START, "route")
builder.add_edge("route", END)
graph = builder.compile()

def reply(state: MessagesState) -> dict:
    return {"messages": [AIMessage("hello " + state["messages"][-1].content)]}

chat = StateGraph(MessagesState)
chat.add_node("reply", reply)
chat.add_edge(START, "reply")
chat.add_edge("reply", END)
chat = chat.compile()
"""


def test_a_langgraph_graph(load: Load) -> None:
    loaded = load(GRAPH, run="feature:graph", default="billing")
    assert answer(loaded, {"message": "my card"}).output == {"message": "my card", "queue": "billing"}
    found = answer(load(GRAPH, run="feature:chat"), {"messages": [{"role": "user", "content": "you"}]})
    assert [m["content"] for m in found.output["messages"]] == ["you", "hello you"]
