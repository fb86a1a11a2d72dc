"""Which features a change concerns: by content, not by luck of the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import SPEC, Repository, rows

from shiftright.errors import SpecError
from shiftright.ship.touched import change, touched

AWAY = SPEC.replace(
    "feature: echo", "feature: away\nextends: ../company.yaml\ntouches: [code/**, '*.txt']"
).replace("echo:echo", "away:run")


@pytest.fixture
def two(repository: Repository) -> Repository:
    """Another contract in a folder of its own, which reads files outside of it."""
    repository.commit(
        "away",
        **{
            "company.yaml": "confidence: {wrong_ship: 5%}\n",
            "away/spec.yaml": AWAY,
            "away/away.py": "import library.words\n\n\ndef run(text: str) -> str:\n    return text\n",
            "away/prompt.md": "x",
            "away/other.md": "x",
            "away/gate.jsonl": rows(3),
            "away/must.jsonl": rows(1, "m"),
            "away/code/a/b.py": "A = 1\n",
            "away/notes.txt": "a note",
            "away/other_words.md": "nothing",
            "library/__init__.py": "",
            "library/words.py": "WORDS = 1\n",
        },
    )
    repository.git("switch", "-q", "-c", "change")
    return repository


def features(repository: Repository) -> dict[str, tuple[str, ...]]:
    root = repository.folder
    return {found.spec.feature: found.files for found in touched(root, change(root))}


@pytest.mark.parametrize(
    ("file", "concerned"),
    [
        ("away/code/a/b.py", {"away"}),
        ("away/notes.txt", {"away"}),
        ("away/prompt.md", {"away"}),
        ("away/gate.jsonl", {"away"}),
        ("company.yaml", {"away", "echo"}),  # it lies in the folder of echo's contract too
        ("shared.py", {"echo"}),
        ("away/other_words.md", set()),
        ("shiftright.lock", set()),
        ("recordings/echo.jsonl", set()),
    ],
)
def test_who_is_concerned(two: Repository, file: str, concerned: set[str]) -> None:
    before = (two.folder / file).read_text() if (two.folder / file).exists() else ""
    two.commit("change", **{file: before + "\n"})
    assert set(features(two)) == concerned
    assert all(files == (file,) for files in features(two).values())


def test_what_a_module_of_another_folder_is_imported_by(two: Repository) -> None:
    words = {"library/words.py": "WORDS = 2\n"}
    two.commit("change", **words)
    assert "away" not in features(two), "touches: says that it is no concern of this feature"
    two.git("switch", "-q", "main")
    two.commit("no patterns", **{"away/spec.yaml": AWAY.replace("touches: [code/**, '*.txt']", "")})
    two.branch("library", **words)
    assert features(two)["away"] == ("library/words.py",)


def test_removed_renamed_and_uncommitted_files_count(two: Repository) -> None:
    two.git("rm", "-q", "away/code/a/b.py")
    assert features(two) == {"away": ("away/code/a/b.py",)}
    two.git("mv", "away/notes.txt", "away/words.txt")
    assert features(two)["away"] == ("away/code/a/b.py", "away/notes.txt", "away/words.txt")
    two.git("reset", "-q", "--hard")
    two.write(**{"away/new.txt": "new"})
    assert features(two) == {"away": ("away/new.txt",)}


def test_somebodys_notes_in_the_folder_concern_nobody(two: Repository) -> None:
    two.write(**{"report.html": "<p>", "prompt.md": "Say it back!"})
    assert features(two) == {"echo": ("prompt.md",)}


def test_names_of_files_are_taken_as_they_are(two: Repository) -> None:
    two.commit("odd", **{"away/ü \n;$(x).txt": "odd"})
    assert features(two) == {"away": ("away/ü \n;$(x).txt",)}


def test_a_contract_that_cannot_be_read_is_said(two: Repository) -> None:
    two.commit("broken", **{"away/spec.yaml": "feature: ["})
    with pytest.raises(SpecError, match="not YAML"):
        features(two)


def test_a_folder_without_history_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is not a git checkout"):
        change(tmp_path)
