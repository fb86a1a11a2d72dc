from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_project import CODE, SCORES, SHAPE, SPEC, Live

from shiftright.store import open_records
from shiftright.store.duckdb import DuckDBTelemetry


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    (tmp_path / ".shiftright").mkdir()
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "triage.py").write_text(CODE)
    (tmp_path / "scores.py").write_text(SCORES)
    (tmp_path / "shape.json").write_text(json.dumps(SHAPE))
    (tmp_path / "cases.jsonl").write_text('{"input": "a", "expected": {"queue": "billing"}}\n')
    records = open_records(f"sqlite:///{tmp_path / '.shiftright' / 'records.db'}")
    telemetry = DuckDBTelemetry(tmp_path / ".shiftright" / "telemetry.duckdb")
    try:
        yield Live(tmp_path, records, telemetry)
    finally:
        telemetry.close()
        records.close()
