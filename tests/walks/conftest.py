from __future__ import annotations

from pathlib import Path

import pytest
from walking import Walk


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    return Walk(tmp_path)
