from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from traces import project

from shiftright.settings import Settings
from shiftright.store import Records, open_records


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(project(tmp_path), env={})


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    with open_records(settings.records_url) as opened:
        yield opened
