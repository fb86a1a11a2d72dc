"""``shiftright mcp`` through the official client, over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from shiftright.core.trace import SpanRow
from shiftright.store.duckdb import DuckDBTelemetry

SPEC = """\
feature: echo
run: echo:echo
variants: {old: {shout: false}, new: {shout: true}}
baseline: old
cases: {dev: dev.jsonl, gate: gate.jsonl}
checks:
  right: {score: exact, at_least: 10%}
  text:  {score: regex, pattern: secret, never_fails: true}
"""
CODE = """\
from shiftright import variant

def echo(text):
    print("features may print")
    return text.upper() if variant("echo")["shout"] else text
"""
TRACE = "a" * 32


@pytest.fixture
def project(shiftright: Any, tmp_path: Path) -> Path:
    home = tmp_path / ".shiftright"

    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "echo.py").write_text(CODE)
    for split in ("dev", "gate"):
        rows = [{"id": f"{split}{i}", "input": f"{split} {i}", "expected": f"{split} {i}"} for i in range(30)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    telemetry = DuckDBTelemetry(home / "telemetry.duckdb")
    long = json.dumps("x" * 100_000)
    telemetry.append(
        [
            SpanRow(
                trace_id=TRACE, span_id="b" * 16, name="echo", start_ns=10**18, end_ns=10**18 + 5,
                operation="feature", feature="echo", input=json.dumps("live"), output=long,
            )
        ]
    )  # fmt: skip
    telemetry.close()
    return tmp_path


def talk(folder: Path, work: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    async def session() -> Any:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        given = StdioServerParameters(
            command=sys.executable, args=["-m", "shiftright", "mcp"], cwd=folder, env=environment
        )
        async with stdio_client(given) as (read, write), ClientSession(read, write) as client:
            await client.initialize()
            return await work(client)

    return asyncio.run(session())


async def ask(client: ClientSession, tool: str, **arguments: Any) -> Any:
    found = await client.call_tool(tool, arguments)
    text = found.content[0].text
    assert len(text) < 7_000
    assert not found.is_error, text
    return json.loads(text) if "(cut:" not in text else text


def test_the_tools_of_a_coding_agent(project: Path, shiftright: Any) -> None:
    shiftright("eval", "echo", "--variant", "new")

    async def work(client: ClientSession) -> None:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"next", "check", "explain", "traces", "trace", "eval_dev", "compare", "add_case"}
        assert (await ask(client, "next"))["command"].startswith("shiftright")
        assert (await ask(client, "check", feature="echo"))["feature"] == "echo"
        told = await ask(client, "explain", feature="echo")
        assert told["release"] == "fail"
        assert "gate1" not in json.dumps(told), "cases of the gate are not shown"
        run = await ask(client, "eval_dev", feature="echo", variant="new")
        assert (run["cases"], run["means"]["right"], run["not_right"]) == (30, 0.0, 30)
        moved = await ask(client, "compare", feature="echo", old="old", new="new")
        assert moved["moved"]["right"]["change"] == -1.0
        assert moved["broke_in_all"] == 30
        assert (await ask(client, "traces", feature="echo"))[0]["trace_id"] == TRACE
        assert len((await ask(client, "trace", trace_id=TRACE))[0]["output"]) <= 300
        refused = await client.call_tool(
            "add_case", {"feature": "echo", "trace_id": TRACE, "expected": "right", "consent": "maybe"}
        )
        assert refused.is_error
        added = await ask(
            client, "add_case", feature="echo", trace_id=TRACE, expected="5", consent="not_needed"
        )
        assert added["added"] is True

    talk(project, work)
    assert json.loads((project / "must.jsonl").read_text())["expected"] == "5", (
        "a text, as on the command line"
    )
