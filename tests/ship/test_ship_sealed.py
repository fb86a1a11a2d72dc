"""Sealed cases: after whatever is done with them, their text stands in no file and on no screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from provider import serving
from repositories import Repository

from shiftright import datasets
from shiftright.core.case import digest_of
from shiftright.datasets import sealed
from shiftright.errors import CredentialsError, DatasetError, Error, SpecError

CANARY = "zebrafinch"
SPEC = """\
feature: echo
run: echo:echo
variants:
  plain: {prompt: prompt.md}
cases: {gate: gate.jsonl.sealed, must: must.jsonl.sealed}
checks:
  right: {score: exact, max_drop: 5 points}
  own: {score: "scoring:own", at_least: 5%}
"""
# Answers, failures and measurements all speak of the case.
CODE = """\
from pathlib import Path

from shiftright.tracing.recorder import span


def echo(text: str) -> str:
    hasty = "quickly" in Path(__file__).with_name("prompt.md").read_text()
    number = int(text.split()[1])
    with span("look", text=text):
        if number % 7 == 0:
            raise ValueError(f"cannot read {text}")
        return f"not {text}" if hasty and number % 3 == 0 else text
"""
SCORING = """\
def own(ctx):
    if int(ctx.input.split()[1]) % 11 == 0:
        raise ValueError(f"cannot judge {ctx.input}")
    return ctx.output == ctx.expected
"""


def rows(count: int, prefix: str) -> str:
    texts = [f"hello {i} {CANARY}{i}" for i in range(1, count + 1)]
    return "".join(
        json.dumps(
            {"id": f"{CANARY}-{prefix}{i}", "input": text, "expected": text, "tags": [f"{CANARY}-tag{i % 2}"]}
            | {"group": f"{CANARY}-g{i}", "source": f"{CANARY}-s"}
        )
        + "\n"
        for i, text in enumerate(texts)
    )


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    made = sealed.new_key()
    monkeypatch.setenv(sealed.VARIABLE, made)
    return made


@pytest.fixture
def closed(repository: Repository, key: str, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository whose cases are sealed; only this process and what it starts have the key."""
    repository.git("rm", "-q", "gate.jsonl", "must.jsonl")
    for name, count in (("gate", 150), ("must", 1)):
        data = rows(count, name[0]).encode()
        (repository.folder / f"{name}.jsonl.sealed").write_bytes(sealed.seal(data))
    repository.commit("sealed", **{"spec.yaml": SPEC, "echo.py": CODE, "scoring.py": SCORING})
    return repository


def leaks(folder: Path) -> list[str]:
    """Every file with a word of a case, or a digest from which one could be guessed."""
    words = [CANARY.encode()]
    words += [digest_of(f"hello {i} {CANARY}{i}").encode() for i in range(1, 151)]
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return [str(path) for path in files if any(word in path.read_bytes() for word in words)]


def test_nothing_of_a_sealed_case_is_written_down(closed: Repository, key: str, tmp_path: Path) -> None:
    closed.branch("harm", **{"prompt.md": "Say it back quickly."})
    out = closed.folder / "out"
    out.mkdir()
    env = {sealed.VARIABLE: key, "SHIFTRIGHT_DEBUG": "1"}
    done = closed.run("gate", "--json", "--markdown", str(out / "c.md"), "--junit", str(out / "j.xml"), **env)
    told = json.loads(done.stdout)
    assert (done.returncode, told["merge"]) == (1, "no"), done.stderr
    run_id = told["features"][0]["variants"][0]["run_id"]
    texts = [done.stdout, done.stderr]
    for words in (
        ("gate",),
        ("show", run_id),
        ("show", run_id, "--json"),
        ("report", run_id, "--html", str(out / "r.html"), "--junit", str(out / "r.xml"), "--markdown"),
        ("eval", "echo", "--limit", "5"),
        ("runs",),
        ("next",),
        ("check",),
        ("export", "--run", run_id),
    ):
        done = closed.run(*words, **env)
        texts += [done.stdout, done.stderr]
    assert "sealed-" in "".join(texts)
    assert not [text for text in texts if CANARY in text]
    assert leaks(closed.folder) == []
    report = (out / "r.html").read_text()
    assert "sealed" in report


def test_what_stops_a_run_says_nothing_of_the_case(closed: Repository, key: str) -> None:
    stopping = CODE.replace("raise ValueError(", "raise UsageError(").replace(
        "from pathlib", "from shiftright.errors import UsageError\nfrom pathlib"
    )
    closed.branch("stops", **{"echo.py": stopping})
    done = closed.run("gate", **{sealed.VARIABLE: key, "SHIFTRIGHT_DEBUG": "1"})
    assert done.returncode == 3
    assert "the case is sealed" in " ".join(done.stdout.split())
    assert CANARY not in done.stdout + done.stderr
    assert leaks(closed.folder) == []


def test_model_answers_to_sealed_cases_are_not_remembered(
    closed: Repository, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as provider:
        monkeypatch.setenv("TEST_KEY", "k")
        model = (
            f'{{model: "{provider.url}#tiny", prompt: prompt.md, price: {{input: 1 USD/M, output: 2 USD/M}}}}'
        )
        code = "from shiftright import Context\n\nasync def echo(text: str, ctx: Context) -> str:\n"
        code += "    word = await ctx.generate(ctx.variant['prompt'], text=text)\n"
        code += "    return text if word in text else word\n"
        spec = SPEC.replace("{prompt: prompt.md}", model)
        closed.commit("a model", **{"spec.yaml": spec, "echo.py": code, "prompt.md": "Say {{ text }}"})
        closed.branch("other", **{"prompt.md": "Tell {{ text }}"})
        done = closed.run("gate", "--max-calls", "20", **{sealed.VARIABLE: key, "TEST_KEY": "k"})
        assert provider.asked > 10, done.stdout + done.stderr
        refused = closed.run(
            "gate", "--record", "--max-calls", "20", **{sealed.VARIABLE: key, "TEST_KEY": "k"}
        )
    assert "are sealed" in refused.stderr
    assert CANARY not in done.stdout + done.stderr + refused.stdout + refused.stderr
    assert leaks(closed.folder) == []


def test_without_the_key_it_is_left_open(closed: Repository) -> None:
    closed.branch("harm", **{"prompt.md": "Say it back quickly."})
    done = closed.run("gate")
    assert done.returncode == 0
    assert "SHIFTRIGHT_SEAL_KEY is not set" in " ".join(done.stdout.split())
    with pytest.MonkeyPatch.context() as without:
        without.delenv(sealed.VARIABLE)
        with pytest.raises(CredentialsError, match="SHIFTRIGHT_SEAL_KEY is not set"):
            datasets.load(closed.folder / "gate.jsonl.sealed")


def test_names_and_digests_tell_nothing_and_stay(closed: Repository, key: str) -> None:
    path = closed.folder / "gate.jsonl.sealed"
    first, again = datasets.load(path), datasets.load(path)
    assert [(c.id, c.digest, c.group) for c in first] == [(c.id, c.digest, c.group) for c in again]
    assert first.sealed
    assert all(c.sealed and c.id.startswith("sealed-") and not c.tags and c.source is None for c in first)
    assert first.cases[0].value == f"hello 1 {CANARY}1"
    path.write_bytes(sealed.seal(rows(150, "g").encode()))
    assert datasets.load(path).digest == first.digest


def test_another_key_and_a_changed_file_are_told_apart(
    closed: Repository, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = closed.folder / "gate.jsonl.sealed"
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + (b"A" if whole[200:201] != b"A" else b"B") + whole[201:])
    with pytest.raises(DatasetError, match="was changed after it was sealed"):
        datasets.load(path)
    path.write_bytes(b"hello")
    with pytest.raises(DatasetError, match="is no sealed file"):
        datasets.load(path)
    path.write_bytes(whole)
    monkeypatch.setenv(sealed.VARIABLE, sealed.new_key())
    with pytest.raises(CredentialsError, match="not the key that these cases were sealed with"):
        datasets.load(path)
    monkeypatch.setenv(sealed.VARIABLE, "short")
    with pytest.raises(Error):
        datasets.load(path)


def test_a_sealed_case_that_cannot_be_read_is_not_quoted(tmp_path: Path, key: str) -> None:
    path = tmp_path / "x.jsonl.sealed"
    path.write_bytes(sealed.seal(f'{{"input": 1, "{CANARY}": 2}}\n'.encode()))
    with pytest.raises(DatasetError) as refused:
        datasets.load(path)
    assert CANARY not in str(refused.value)
    assert refused.value.line == 1


def test_sealing_on_the_command_line(repository: Repository, key: str) -> None:
    made = repository.run("seal", "--keygen")
    assert len(made.stdout.strip()) == 44
    env = {sealed.VARIABLE: made.stdout.strip()}
    done = repository.run("seal", "gate.jsonl", **env)
    assert (done.returncode, "150 cases" in done.stdout) == (0, True), done.stderr
    assert "hello" not in (repository.folder / "gate.jsonl.sealed").read_text()
    for words in (("seal",), ("seal", "gate.jsonl", "--keygen"), ("seal", "gate.jsonl.sealed")):
        assert repository.run(*words, **env).returncode == 3
    assert "SHIFTRIGHT_SEAL_KEY is not set" in repository.run("seal", "gate.jsonl").stderr
    repository.write(**{"bad.jsonl": "{}\n"})
    assert "needs input" in repository.run("seal", "bad.jsonl", **env).stderr


def test_what_is_tuned_on_is_not_sealed(closed: Repository) -> None:
    from shiftright import spec

    closed.write(**{"spec.yaml": SPEC.replace("{gate:", "{dev: gate.jsonl.sealed, gate:")})
    with pytest.raises(SpecError, match=r"cases\.dev: these cases are sealed"):
        spec.load(closed.folder)


def test_one_sealed_case_is_not_run_and_none_is_added(closed: Repository, key: str) -> None:
    first = datasets.load(closed.folder / "gate.jsonl.sealed").cases[0]
    done = closed.run("run", "echo", "--case", first.id, **{sealed.VARIABLE: key})
    assert (done.returncode, "is sealed" in done.stderr, CANARY in done.stdout) == (3, True, False)
    with pytest.raises(DatasetError, match="cases cannot be added"):
        datasets.append(closed.folder / "gate.jsonl.sealed", [first])
