"""``shiftright.variant`` in a program of its own: what was promoted, else the contract's baseline."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ship.releasing import freeze

from shiftright import spec as specs
from shiftright import variant
from shiftright.features import outside
from shiftright.store import open_records

SPEC = """\
feature: greet
cases: cases.jsonl
variants:
  old: {model: "openai:old"}
  new: {model: "openai:new"}
baseline: old
checks:
  right: {score: exact, at_least: 50%}
"""


def test_the_stable_release_speaks_and_a_rollback_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHIFTRIGHT_RECORDS_URL", raising=False)
    monkeypatch.delenv("SHIFTRIGHT_HOME", raising=False)
    monkeypatch.setattr(outside, "_LOOK_EVERY_S", 0.0)
    (tmp_path / ".shiftright").mkdir()
    (tmp_path / "cases.jsonl").write_text('{"input": "a", "expected": "a"}\n')
    (tmp_path / "spec.yaml").write_text(SPEC)
    assert variant("greet")["model"] == "openai:old"
    spec = specs.load(tmp_path / "spec.yaml")
    with open_records(f"sqlite:///{tmp_path / '.shiftright' / 'records.db'}") as records:
        digest = freeze(spec, "new", records)
        assert variant("greet")["model"] == "openai:old"
        records.releases.append("promote", "greet", digest, {"rollout": "o", "before": ""})
        (tmp_path / "spec.yaml").write_text(SPEC.replace("openai:new", "openai:newer"))
        assert variant("greet")["model"] == "openai:new"
        records.releases.append("back", "greet", digest, {"rollout": "o", "control": ""})
        assert variant("greet")["model"] == "openai:old"
    (tmp_path / ".shiftright" / "records.db").write_bytes(b"no database any more" * 100)
    assert variant("greet")["model"] == "openai:old"
