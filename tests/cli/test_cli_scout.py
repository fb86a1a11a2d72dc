"""``shiftright scout``: cheaper models at one's own traffic, without a call."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, spans

from shiftright.models.price_list import listed


@pytest.fixture
def live(shiftright: Any, tmp_path: Path) -> Desk:
    """600 requests over the last three days: 7.5 USD, 450,000 tokens in, 150,000 out."""
    desk = Desk(tmp_path)
    now = time.time_ns()
    with desk.telemetry() as telemetry:
        for number in range(600):
            telemetry.append(spans(number, now - (600 - number) * 432 * 10**9))
    return desk


def test_candidates_are_cheaper_and_have_the_window(shiftright: Any, live: Desk) -> None:
    (use,) = shiftright("scout", "desk", "--json").json["uses"]
    assert (use["feature"], use["model"], use["provider"], use["longest"]) == (
        "desk",
        "gpt-4o",
        "openai",
        1200,
    )
    assert use["usd_a_month"] == pytest.approx(600 * 0.005 * 10, rel=0.02)
    assert use["calls"] == pytest.approx(6_000, rel=0.02)
    assert len(use["candidates"]) >= 5
    for one in use["candidates"]:
        assert one["usd_a_month"] <= 0.8 * use["usd_a_month"]
        assert one["saves"] == pytest.approx(use["usd_a_month"] - one["usd_a_month"])
        assert one["context"] >= 1200
        assert one["command"] == f"shiftright diff desk --from openai:gpt-4o --to {one['model']} --traces 7d"
    assert len({one["model"].partition(":")[0] for one in use["candidates"]}) >= 4


def test_a_machine_of_ones_own_is_paid_all_month(shiftright: Any, live: Desk) -> None:
    words = ("scout", "desk", "--gpu-hour", "0.02", "--tokens-per-second", "1500")
    (use,) = shiftright(*words, "--json").json["uses"]
    own = next(one for one in use["candidates"] if one["context"] is None)
    assert own["usd_a_month"] == pytest.approx(730 * 0.02)
    assert "1500 tokens a second" in own["note"]
    assert "a GPU of your own" in shiftright(*words).out


def test_a_variant_with_the_model_is_named(shiftright: Any, live: Desk) -> None:
    text = (live.folder / "spec.yaml").read_text()
    live.write("spec.yaml", text.replace("variants:\n", "variants:\n  today: {model: openai:gpt-4o}\n"))
    (use,) = shiftright("scout", "--json").json["uses"]
    assert all("--from today --to" in one["command"] for one in use["candidates"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scout", "--gpu-hour", "2"), "needs its price and its speed"),
        (("scout", "elsewhere"), "no model call of elsewhere"),
    ],
)
def test_what_is_missing_is_said(shiftright: Any, live: Desk, words: tuple[str, ...], said: str) -> None:
    told = shiftright(*words)
    assert (told.code, said in told.err) == (3, True)


def test_the_price_list_has_models_for_text_alone() -> None:
    names = {one.name for one in listed()}
    assert "openai:gpt-4o" in names
    assert not any(word in name for name in names for word in ("embed", "whisper", "-tts", "realtime"))
    assert all(one.context > 0 for one in listed())
