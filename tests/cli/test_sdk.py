"""``import shiftright``: one table of names, each there, and evaluate() from plain code and from a running loop."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import shiftright

SPEC = """\
feature: echo
run: echo:echo
cases: cases.jsonl
checks:
  right: {score: exact, at_least: 50%}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".shiftright").mkdir()
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "echo.py").write_text("def echo(text: str) -> str:\n    return text\n")
    rows = [{"input": f"t{i}", "expected": f"t{i}"} for i in range(100)]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_every_name_of_the_table_is_there() -> None:
    names = [name for name in shiftright.__all__ if not name.startswith("__")]
    assert 20 <= len(names) <= 25
    for name in names:
        assert getattr(shiftright, name) is not None
        assert name in dir(shiftright)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = shiftright.nothing_of_the_kind


def test_the_version_is_the_package_s() -> None:
    from importlib.metadata import version

    assert shiftright.__version__ == version("shiftright")


def test_evaluate_from_plain_code(project: Path) -> None:
    run = shiftright.evaluate("echo", start=project)
    assert run.verdict.verdict == "pass"
    assert shiftright.evaluate("echo", start=project).stored


def test_evaluate_where_a_loop_is_running(project: Path) -> None:
    async def notebook() -> str:
        return shiftright.evaluate("echo", start=project).verdict.verdict

    assert asyncio.run(notebook()) == "pass"


def test_an_error_comes_out_where_a_loop_is_running(project: Path) -> None:
    async def notebook() -> None:
        shiftright.evaluate("ehco", start=project)

    with pytest.raises(shiftright.Error, match="no feature 'ehco'"):
        asyncio.run(notebook())


@pytest.mark.parametrize("amount", [float("inf"), float("nan"), -1.0])
def test_a_limit_on_cost_is_an_amount(project: Path, amount: float) -> None:
    with pytest.raises(shiftright.Error, match="an amount in USD"):
        shiftright.evaluate("echo", start=project, max_cost_usd=amount)
