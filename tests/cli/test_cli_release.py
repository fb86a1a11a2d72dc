"""``release``, ``sign`` and ``verify`` on the command line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

Shiftright = Callable[..., Any]

CONTRACT = """\
feature: echo
run: echo:echo
owner: {is: echo@example.com, sign_off: [legal]}
baseline: old
variants:
  old: {words: 1}
  new: {words: 2}
cases: cases.jsonl
checks:
  right: {score: exact, max_drop: 10 points}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(CONTRACT)
    (tmp_path / "echo.py").write_text("def echo(text: str) -> str:\n    return text\n")
    rows = [{"id": f"c{i}", "input": f"hello {i}", "expected": f"hello {i}"} for i in range(120)]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, str]:
    """The files of a private key and of signers that may use it."""
    private = Ed25519PrivateKey.generate()
    file, signers = tmp_path / "key", tmp_path / "signers"
    file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    signers.write_text(f"ada@example.com {public}\n")
    return str(file), str(signers)


def test_release_freezes_and_says_what_is_missing(shiftright: Shiftright, project: Path) -> None:
    first = shiftright("release", "echo", "--variant", "new", "--by", "Ada", "--json")
    assert first.code == 0
    made = first.json
    assert (made["new"], made["evidence"], made["record"], len(made["digest"])) == (True, None, 1, 32)
    assert [need["kind"] for need in made["missing"]] == ["verdict", "sign_off"]
    again = shiftright("release", "echo", "--variant", "new", "--json").json
    assert (again["new"], again["digest"], again["head"]) == (False, made["digest"], made["head"])

    assert shiftright("eval", "echo", "--variant", "new").code == 0
    proven = shiftright("release", "echo", "--variant", "new", "--json").json
    assert (proven["digest"], proven["evidence"]["verdict"]["verdict"]) == (made["digest"], "pass")
    signed = shiftright("sign", "echo", "--variant", "new", "--as", "legal", "--by", "Lea", "--json")
    assert (signed.code, signed.json["missing"], signed.json["head"] != proven["head"]) == (0, [], True)
    shown = shiftright("release", "echo", "--variant", "new").out
    assert "released before, with the same evidence" in shown
    assert "release: pass, merge: yes against old" in shown
    assert "before it can reach users" not in shown


def test_verify_names_the_first_broken_record(shiftright: Shiftright, project: Path) -> None:
    empty = shiftright("verify")
    assert (empty.code, "Nothing was released yet" in empty.out) == (0, True)
    assert not (project / ".shiftright" / "records.db").exists()
    heads = [
        shiftright("release", "echo", "--variant", name, "--json").json["head"] for name in ("old", "new")
    ]
    whole = shiftright("verify", "--head", heads[0], "--json")
    assert (whole.code, whole.json["whole"], whole.json["records"], whole.json["head"]) == (
        0,
        True,
        2,
        heads[1],
    )
    assert whole.json["broken"] is None

    with closing(sqlite3.connect(project / ".shiftright" / "records.db")) as connection, connection:
        connection.execute("DELETE FROM releases WHERE number = 2")
    assert shiftright("verify").code == 0
    cut = shiftright("verify", "--head", heads[1], "--json")
    assert (cut.code, cut.json["whole"], cut.json["broken"]["number"]) == (1, False, 2)
    with closing(sqlite3.connect(project / ".shiftright" / "records.db")) as connection, connection:
        connection.execute("UPDATE releases SET at = at + 1")
    changed = shiftright("verify")
    assert changed.code == 1
    assert "broken at record 1 (release of echo): it is not what its digest says" in changed.out


def test_signatures_are_checked_against_the_keys_that_are_allowed(
    shiftright: Shiftright, project: Path, key: tuple[str, str]
) -> None:
    file, signers = key
    made = shiftright("release", "echo", "--variant", "new", "--sign", file, "--json").json
    assert made["signed"]
    whole = shiftright("verify", "--signers", signers)
    assert (whole.code, "1 signed" in whole.out) == (0, True)
    others = project / "others"
    others.write_text("# nobody\n")
    assert shiftright("verify", "--signers", str(others), "--json").code == 1
    with closing(sqlite3.connect(project / ".shiftright" / "records.db")) as connection, connection:
        connection.execute("UPDATE releases SET signature = NULL")
    taken_off = shiftright("verify", "--json")
    assert (taken_off.code, taken_off.json["broken"]["why"]) == (1, "its signature was taken off")


@pytest.mark.parametrize(
    "words",
    [
        ("release", "nothing"),
        ("release", "echo", "--variant", "none"),
        ("release", "echo", "--variant", "new", "--sign", "no-such-key"),
        ("sign", "echo", "--variant", "new", "--as", "legal"),
        ("sign", "echo", "--variant", "new"),
        ("verify", "--signers", "no-such-file"),
    ],
)
def test_errors_say_the_way_out(shiftright: Shiftright, project: Path, words: tuple[str, ...]) -> None:
    refused = shiftright(*words, "--json")
    assert (refused.code, bool(refused.json["error"]["hint"])) == (3, True)


def test_a_run_shows_the_releases_of_its_variant_and_who_let_them_pass(
    shiftright: Shiftright, project: Path
) -> None:
    from shiftright.settings import Settings
    from shiftright.ship import promotion
    from shiftright.store import open_records

    digest = shiftright("release", "echo", "--variant", "new", "--json").json["digest"]
    settings = Settings.load(project, env={})
    with open_records(settings.records_url) as records:
        gate = promotion.gate(settings, records, "echo", "new")
        promotion.override(records, gate, by="Ada", reason="the fair is tomorrow")
    run = shiftright("eval", "echo", "--variant", "new", "--json").json["run_id"]
    shown = shiftright("show", run)
    assert f"released as {digest[:12]}" in shown.out
    assert "overridden on" in shown.out
    assert "by Ada: the fair is tomorrow" in shown.out
    (kept,) = shiftright("show", run, "--json").json["releases"]
    assert (kept["digest"], kept["stable"], kept["overrides"][0]["by"]) == (digest, False, "Ada")
    again = shiftright("release", "echo", "--variant", "new")
    assert "by Ada: the fair is tomorrow" in again.out
