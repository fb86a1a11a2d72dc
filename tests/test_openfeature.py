"""The OpenFeature provider in a program of its own: the same flags from the project's records, spans that say them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from opentelemetry.sdk.trace import TracerProvider
from tests.gateway import flagging

from shiftright import load_spec
from shiftright.core.rollout import Rollout, unit_id
from shiftright.openfeature import RolloutProvider
from shiftright.ship import rollouts
from shiftright.store import Records, open_records
from shiftright.tracing import attributes as names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    flagging.project(tmp_path)
    (tmp_path / ".shiftright").mkdir()
    return tmp_path


@pytest.fixture
def records(root: Path) -> Iterator[Records]:
    with open_records(f"sqlite:///{root / '.shiftright' / 'records.db'}") as opened:
        yield opened


@pytest.fixture
def rollout(root: Path, records: Records) -> Rollout:
    return flagging.begin(load_spec(root / "spec.yaml"), records)


@pytest.fixture
def client(root: Path) -> Iterator[Any]:
    api.set_provider_and_wait(RolloutProvider(root))
    yield api.get_client()
    api.shutdown()


def followed(says: Callable[[], object], wanted: object) -> None:
    until = time.monotonic() + 10
    while says() != wanted:
        assert time.monotonic() < until, says()
        time.sleep(0.02)


def test_users_get_the_variant_of_their_arm(rollout: Rollout, client: Any) -> None:
    for arm, variant in (("canary", "retrieved"), ("control", "keywords")):
        user = EvaluationContext(flagging.one_of(rollout, arm))
        details = client.get_string_details("triage", "mine", user)
        assert (details.value, details.variant, details.reason) == (variant, variant, Reason.SPLIT)
        assert details.flag_metadata[names.UNIT] == unit_id(rollout.salt, user.targeting_key or "")
        assert asyncio.run(client.get_string_value_async("triage", "mine", user)) == variant


def test_a_rollout_and_its_end_are_followed(root: Path, records: Records, client: Any) -> None:
    user = EvaluationContext("u1")
    assert client.get_string_details("triage", "mine", user).reason == Reason.DEFAULT
    rollout = flagging.begin(load_spec(root / "spec.yaml"), records)
    user = EvaluationContext(flagging.one_of(rollout, "canary"))
    followed(lambda: client.get_string_value("triage", "mine", user), "retrieved")
    rollouts.back("triage", records, by="Ada")
    followed(lambda: client.get_string_value("triage", "mine", user), "keywords")


def test_settings_are_the_programs_own_copy(rollout: Rollout, client: Any) -> None:
    user = EvaluationContext(flagging.one_of(rollout, "canary"))
    whole = client.get_object_value("triage:release", {}, user)
    assert whole == {
        "variant": "retrieved",
        "release": rollout.candidate,
        "settings": {"words": ["refund"], "top_k": 4},
    }
    whole["settings"]["words"].append("changed")
    assert client.get_object_value("triage:release", {}, user)["settings"]["words"] == ["refund"]


def test_what_cannot_be_evaluated_is_the_programs_default(client: Any) -> None:
    user = EvaluationContext("u1")
    wrong = [
        (client.get_string_details("triage", "mine"), "mine", ErrorCode.TARGETING_KEY_MISSING),
        (client.get_string_details("nix", "mine", user), "mine", ErrorCode.FLAG_NOT_FOUND),
        (client.get_string_details("triage:release", "mine", user), "mine", ErrorCode.TYPE_MISMATCH),
        (client.get_object_details("triage", {"a": 1}, user), {"a": 1}, ErrorCode.TYPE_MISMATCH),
        (client.get_boolean_details("triage", True, user), True, ErrorCode.TYPE_MISMATCH),
        (client.get_integer_details("triage", 7, user), 7, ErrorCode.TYPE_MISMATCH),
        (client.get_float_details("triage", 0.5, user), 0.5, ErrorCode.TYPE_MISMATCH),
    ]
    assert [(details.value, details.error_code) for details, _, _ in wrong] == [
        (value, code) for _, value, code in wrong
    ]


def test_the_current_span_says_what_makes_it_count(rollout: Rollout, client: Any) -> None:
    tracer = TracerProvider().get_tracer("shop")
    user = flagging.one_of(rollout, "canary")
    with tracer.start_as_current_span("triage") as span:
        client.get_string_value("triage", "mine", EvaluationContext(user))
        client.get_string_value("nix", "mine", EvaluationContext(user))
    assert dict(span.attributes) == {  # type: ignore[attr-defined]
        names.OPERATION: "feature",
        names.FEATURE: "triage",
        names.VARIANT: "retrieved",
        names.RELEASE: rollout.candidate,
        names.ROLLOUT: rollout.id,
        names.ARM: "canary",
        names.PROBABILITY: 0.5,
        names.UNIT: unit_id(rollout.salt, user),
    }


def test_the_documented_program_runs(root: Path, rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / "docs" / "ship.md").read_text(encoding="utf-8")
    program = text.partition("\n## Flags\n")[2].partition("```python\n")[2].partition("```")[0]
    space: dict[str, Any] = {"search": lambda text, top_k: f"{text} {top_k}"}
    monkeypatch.chdir(root)
    try:
        exec(program, space)
        assert space["triage"]("hello", flagging.one_of(rollout, "canary")) == "hello 4"
    finally:
        api.shutdown()


def test_a_project_that_cannot_be_read_says_so(root: Path) -> None:
    (root / "shiftright.yaml").write_text("nonsense: [", encoding="utf-8")
    with pytest.raises(Exception, match=r"shiftright\.yaml"):
        api.set_provider_and_wait(RolloutProvider(root))
    assert api.get_client().get_provider_status() == ProviderStatus.ERROR
    assert api.get_client().get_string_value("triage", "mine", EvaluationContext("u1")) == "mine"
    api.shutdown()
