from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shiftright.cli._main import run


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; anything beside it, NaN or infinity is an error."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


Shiftright = Callable[..., Result]


@pytest.fixture
def shiftright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shiftright:
    """A command line in an empty project folder, in this process."""
    monkeypatch.chdir(tmp_path)
    for name in ("SHIFTRIGHT_HOME", "SHIFTRIGHT_RECORDS_URL", "SHIFTRIGHT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / ".shiftright").mkdir()

    def command(*words: str) -> Result:
        code = run(words)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return command
