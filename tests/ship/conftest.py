from __future__ import annotations

from pathlib import Path

import pytest
from repositories import CALLS, Repository


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """On main, with nothing changed; as if no CI were around."""
    for name in (
        "GITHUB_BASE_REF",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
        "SHIFTRIGHT_HOME",
        "SHIFTRIGHT_RECORDS_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(CALLS, str(tmp_path / "work-calls"))
    return Repository.made(tmp_path / "work")
