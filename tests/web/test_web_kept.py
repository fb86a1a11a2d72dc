"""A board is made once for everybody who looks at it, and the figures of what follows the traffic are told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from starlette.testclient import TestClient
from web_sites import BASE, site, spans

from shiftright.monitor.watching import Monitor
from shiftright.tracing.export import Exporter
from shiftright.web.application import application
from shiftright.web.kept import Kept
from shiftright.web.site import Watch


def test_who_asks_while_a_value_is_made_waits_for_it() -> None:
    kept: Kept[int] = Kept()
    begun, go = threading.Event(), threading.Event()
    made: list[int] = []

    def make() -> int:
        begun.set()
        assert go.wait(5)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(kept.get, "echo", "v1", make) for _ in range(8)]
        assert begun.wait(5)
        assert kept.get("another", "v1", lambda: 7) == 7, "one feature does not wait for another"
        go.set()
        assert [each.result(5) for each in asked] == [1] * 8
    assert kept.get("echo", "v2", make) == 2, "another contract, another board"
    assert Kept[int](0.0).get("echo", "v1", make) == 3


def test_a_board_is_a_few_seconds_old_at_most(tmp_path: Path) -> None:
    with site(tmp_path / "p") as made:
        client = TestClient(application(msgspec.structs.replace(made, live=Kept(60.0))), base_url=BASE)

        def seen() -> object:
            rows = client.get("/api/features/echo").json()["checks"]
            return next(row for row in rows if row["check"] == "latency")["live"]["note"]

        assert seen() == "61 traces"
        made.intake.commit(spans(72)).result(10)
        assert seen() == "61 traces"
        fresh = msgspec.structs.replace(made, live=Kept())
        client = TestClient(application(fresh), base_url=BASE)
        assert seen() == "62 traces"


def test_metrics_tell_what_was_left_out(tmp_path: Path) -> None:
    with site(tmp_path / "p") as made:
        monitor = Monitor(made.settings, made.records, made.telemetry, largest=5)
        monitor._read_contracts()
        monitor.listen([span for number in range(100, 108) for span in spans(number)])
        exporter = Exporter("http://127.0.0.1:9", largest=1, attempts=1)
        exporter.offer(spans(200))
        exporter.close()
        watched = msgspec.structs.replace(made, watch=Watch(monitor, exporter))
        monitor._keeper.failing["echo", "right"] = "no key for <b>it</b>"
        client = TestClient(application(watched), base_url=BASE)
        lines = client.get("/metrics").text.splitlines()
        page = client.get("/features/echo").text
    assert "right scores no live trace: no key for &lt;b&gt;it&lt;/b&gt;" in page
    assert 'shiftright_checks_failing{feature="echo",check="right"} 1' in lines
    assert "shiftright_traces_queued 5" in lines
    assert "shiftright_traces_unscored_total 3" in lines
    assert "shiftright_export_dropped_total 3" in lines
    assert "# TYPE shiftright_judging_paused gauge" in lines
    assert "shiftright_spans_dropped_total 0" in lines
