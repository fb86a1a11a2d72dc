"""The chain of releases over both backends: order, idempotence, several writers, erasure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from shiftright.core.release import Release
from shiftright.errors import UsageError
from shiftright.store import Records, open_records

WRITER = Path(__file__).with_name("release_writer.py")


def release(variant: str = "retrieved", feature: str = "triage", commit: str = "") -> Release:
    return Release(
        feature=feature,
        variant=variant,
        run="triage:triage",
        settings={"model": "local:tiny", "temperature": 0},
        files={"prompts/a.md": "Sort: {{ input }}"},
        code="c0",
        commit=commit,
        snapshot=None,
        contract="k0",
        checks=(),
        confidence={"wrong_ship": 0.05},
    )


def put(records: Records, frozen: Release, **more: str) -> str:
    records.releases.append(
        "release", frozen.feature, frozen.digest, {"release": msgspec.to_builtins(frozen)}, **more
    )
    return frozen.digest


def test_records_are_numbered_and_linked_over_all_features(records: Records) -> None:
    assert records.releases.newest() is None
    put(records, release())
    put(records, release(feature="other"), by="Ada", reason="«first»")
    one, two = records.releases.list()
    assert (one.number, one.previous, two.number, two.previous) == (1, "", 2, one.record)
    assert all(record.record == record.seal for record in (one, two))
    assert (two.by, two.reason) == ("Ada", "«first»")
    assert records.releases.newest() == two
    assert records.releases.list("other") == (two,)


def test_a_release_is_found_by_its_digest_or_the_beginning_of_it(records: Records) -> None:
    digest = put(records, release())
    other = put(records, release("rules"))
    assert records.releases.get(digest) == release()
    assert records.releases.get(other[:8]) == release("rules")
    with pytest.raises(UsageError, match="several"):
        records.releases.get("")
    with pytest.raises(UsageError, match="no release 'zz'"):
        records.releases.get("zz")


def test_the_newest_record_of_a_release_says_its_commit(records: Records) -> None:
    put(records, release())
    digest = put(records, release(commit="abc"))
    assert records.releases.get(digest).commit == "abc"


def test_what_is_stable_follows_promotions_and_rollbacks(records: Records) -> None:
    stable, append = records.releases.stable, records.releases.append
    a, b = put(records, release()), put(records, release("rules"))
    assert stable("triage") is None
    append("promote", "triage", a, {})
    append("promote", "other", b, {})
    assert stable("triage") == a
    append("promote", "triage", b, {})
    assert stable("triage") == b
    append("back", "triage", b, {"control": a})
    assert stable("triage") == a
    append("back", "triage", a, {"control": ""})
    assert stable("triage") is None


def test_what_is_done_again_is_recorded_once(records: Records) -> None:
    first, second = (
        records.releases.append("promote", "triage", "d", {"rollout": "o-1"}, same=lambda r: "o-1" in r.body)
        for _ in range(2)
    )
    assert first == second
    records.releases.append("promote", "triage", "d", {"rollout": "o-2"}, same=lambda r: "o-2" in r.body)
    assert len(records.releases.list()) == 2


def test_a_signature_is_over_the_record(records: Records) -> None:
    signed = records.releases.append("promote", "triage", "d", {}, sign=lambda seal: f"signed {seal}")
    assert signed.signature == f"signed {signed.seal}"
    assert records.releases.newest() == signed


def test_erased_names_are_gone_and_the_chain_is_as_it_was(records: Records) -> None:
    put(records, release(), by="Ada Byron", reason="first")
    put(records, release("rules"), by="Bo", reason="asked by Ada Byron")
    put(records, release("other"), by="Bo")
    before = [record.record for record in records.releases.list()]
    assert records.releases.erase_personal("Ada Byron") == 2
    after = records.releases.list()
    assert [record.by for record in after] == ["", "", "Bo"]
    assert [record.record for record in after] == before == [record.seal for record in after]


def writer(url: str, name: str, count: int, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), url, name, str(count), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def whole(url: str) -> list[str]:
    """The features of the chain, once it is seen to be one."""
    with open_records(url) as records:
        chain = records.releases.list()
    assert [record.number for record in chain] == list(range(1, len(chain) + 1))
    assert [record.previous for record in chain] == ["", *(record.record for record in chain)][: len(chain)]
    assert all(record.record == record.seal for record in chain)
    return [record.feature for record in chain]


def test_processes_that_append_at_once_make_one_chain(url: str) -> None:
    processes = [writer(url, name, 40) for name in ("a", "b")]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    features = whole(url)
    assert features.count("a") == features.count("b") == 40


def test_processes_that_record_the_same_at_once_record_it_once(url: str) -> None:
    open_records(url).close()
    processes = [writer(url, "a", 5, "once") for _ in range(3)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert whole(url) == ["a"]


def test_kill_9_while_appending_leaves_whole_records(url: str) -> None:
    acknowledged = 0
    for seen in (1, 5, 12):
        with writer(url, "a", 1_000_000) as process:
            assert process.stdout is not None
            for _ in range(seen):
                process.stdout.readline()
            process.kill()
        acknowledged += seen
        assert len(whole(url)) >= acknowledged
