"""Said in advance: in how many days the traffic decides."""

from __future__ import annotations

import time
from pathlib import Path

from tests.ship.shipping_project import SPEC, Project

from shiftright.core.score import Score
from shiftright.core.trace import SpanRow
from shiftright.ship.guarding import plan_of
from shiftright.ship.outlook import outlook
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.store.rows import ScoreRow


def test_the_days_follow_from_the_traffic_of_the_week(tmp_path: Path) -> None:
    project = Project(tmp_path, SPEC.replace("2 days", "20 days"))
    telemetry = DuckDBTelemetry(str(tmp_path / "t.duckdb"))
    plan, now = plan_of(project.spec), time.time()
    nothing = outlook("triage", plan, telemetry, project.records)
    assert (nothing.days, nothing.units_a_day) == (None, 0.0)
    assert "nothing was measured" in nothing.words

    def traffic(users: int) -> None:
        spans, scores = [], []
        for k in range(users):
            at = now - 7 * 86_400 * (k + 0.5) / users
            for turn in range(2):
                trace_id = f"{users * 10 + turn:08x}{k:024x}"
                spans.append(
                    SpanRow(
                        trace_id=trace_id, span_id=f"{k:016x}", name="triage", start_ns=int(at * 1e9),
                        end_ns=int(at * 1e9) + 10**8, feature="triage", user=f"{users}-{k}", input='"a"',
                    )
                )  # fmt: skip
                score = Score("json", value=float(k % 20 > 0))
                scores.append(ScoreRow(trace_id=trace_id, feature="triage", score=score, created_at=at))
        telemetry.append(spans)
        project.records.scores.add(scores)

    traffic(140)
    little = outlook("triage", plan, telemetry, project.records)
    assert abs(little.units_a_day - 20) < 1
    assert little.days is None
    assert "within 20 days" in little.words
    traffic(2_000)
    more = outlook("triage", plan, telemetry, project.records)
    assert more.units_a_day > 200
    assert more.days is not None
    assert more.words.startswith("A decision takes about ")
    assert [check.check for check in more.checks] == ["json"]
    telemetry.close()
    project.records.close()
