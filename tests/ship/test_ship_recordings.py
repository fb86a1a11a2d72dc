"""A fork's pull request: no key, no network, only what is committed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from provider import serving
from repositories import Repository, rows

from shiftright.errors import CredentialsError, StoreError
from shiftright.models import recordings
from shiftright.models.naming import check_credentials
from shiftright.store.rows import CachedCall

SPEC = """\
feature: echo
run: echo:echo
variants:
  plain: {model: "URL#tiny", prompt: prompt.md, api_key_env: TEST_KEY, price: {input: 1 USD/M, output: 2 USD/M}}
cases: {gate: gate.jsonl, must: must.jsonl}
checks:
  right: {score: exact, max_drop: 20 points}
"""
CODE = """\
from shiftright import Context


async def echo(text: str, ctx: Context) -> str:
    word = await ctx.generate(ctx.variant["prompt"], text=text)
    return f"hello {word}"
"""


@pytest.fixture
def fork(tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Its main line has the answers recorded; the provider is gone, and so is the key."""
    with serving() as provider:
        files = {
            "spec.yaml": SPEC.replace("URL", provider.url),
            "echo.py": CODE,
            "prompt.md": "Say {{ text }}",
            "gate.jsonl": rows(60),
        }
        repository.commit("a model", **files)
        repository.git("switch", "-q", "-c", "refactored")
        # its own records make the recording: the decision needs both sides, and both ask the same
        repository.commit("refactor", **{"echo.py": CODE.replace("word", "said")})
        monkeypatch.setenv("TEST_KEY", "k")
        done = repository.run("gate", "--record")
        assert done.returncode == 0, done.stderr
        assert "recordings/echo.jsonl" in done.stderr
        asked = provider.asked
        assert asked > 20
        assert "recordings/echo.jsonl" in repository.run("gate", "--record").stderr
        assert provider.asked == asked
    monkeypatch.delenv("TEST_KEY")
    repository.git("switch", "-q", "main")
    repository.commit("recordings")
    return repository.clone(tmp_path / "fork")


def test_a_refactoring_without_a_key_passes_from_the_recordings(fork: Repository) -> None:
    (fork.folder / "shiftright.lock").unlink()
    fork.commit("refactor", **{"echo.py": CODE.replace("word", "it")})
    found = fork.gate()
    assert (found.merge, found.verdict) == ("yes", "pass"), found.features[0].reasons
    # what the answers cost when they were made counts for the contract, and nothing was paid for them
    assert found.features[0].cost_usd == 0


def test_another_prompt_without_a_key_is_left_open_and_said(fork: Repository) -> None:
    fork.commit("prompt", **{"prompt.md": "Tell {{ text }}"})
    done = fork.run("gate", "--json")
    (feature,) = json.loads(done.stdout)["features"]
    assert (done.returncode, feature["merge"], feature["verdict"]) == (0, "yes", "inconclusive")
    assert "not decided here" in feature["reasons"][0]
    assert "TEST_KEY" in feature["reasons"][0]
    assert fork.run("gate", "--require", "release").returncode == 2


def test_a_missing_key_is_still_named_first() -> None:
    with pytest.raises(CredentialsError, match="NO_SUCH_KEY"):
        check_credentials("https://host.invalid/v1#x", settings={"api_key_env": "NO_SUCH_KEY"})


def test_a_recording_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "r" / "a.jsonl"
    calls = [
        CachedCall(f"{i:032x}", i, recordings.pack(0.5, None if i else 0.25, b'{"a":"\xc3\xa9"}'))
        for i in (1, 0)
    ]
    recordings.write(path, calls)
    assert sorted(recordings.read(path), key=lambda c: c.repeat) == calls[::-1]
    path.write_text("{}\n")
    with pytest.raises(StoreError, match=r"a\.jsonl:1: not a recorded answer"):
        recordings.read(path)
