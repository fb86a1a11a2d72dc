from __future__ import annotations

from shiftright.core.score import Score
from shiftright.store import open_records
from shiftright.store.rows import ScoreRow


def row(
    trace: str, value: float | None, at: float, source: str = "scorer", feature: str = "triage"
) -> ScoreRow:
    score = Score("right", value, "right", "why", source, None if value is not None else "no answer", 0.1)  # type: ignore[arg-type]
    return ScoreRow(trace_id=trace, feature=feature, variant="v", score=score, created_at=at, author="ann")


def test_scores_come_back_by_trace_as_they_were_given(url: str) -> None:
    given = [row("t1", 1.0, 10.0), row("t1", None, 11.0, "human"), row("t2", 0.0, 12.0)]
    with open_records(url) as records:
        records.scores.add(given)
        records.scores.add([])
        assert records.scores.of_trace("t1") == tuple(given[:2])
        assert records.scores.of_trace("t9") == ()


def test_a_window_holds_one_check_of_one_feature_in_order_of_arrival(url: str) -> None:
    rows = [row(f"t{i}", float(i % 2), float(i), "human" if i == 3 else "scorer") for i in range(10)]
    with open_records(url) as records:
        records.scores.add([*rows, row("x", 1.0, 5.0, feature="other")])
        window = records.scores.window("triage", "right", since=2.0)
        assert [found.trace_id for found in window] == [f"t{i}" for i in range(2, 10)]
        people = records.scores.window("triage", "right", since=0.0, source="human")
        assert [found.trace_id for found in people] == ["t3"]
        assert records.scores.window("triage", "right", since=0.0, variant="w") == ()
