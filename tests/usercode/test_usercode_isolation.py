"""User modules are imported apart from each other, and always as they are on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shiftright.errors import MissingDependency, SpecError
from shiftright.usercode import isolation, sources

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "pyproject.toml").write_text("")

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_equal_names_in_two_folders_do_not_meet(tmp_path: Path, write: Write) -> None:
    for folder in ("a", "b"):
        write(
            f"{folder}/feature.py",
            "import words\ndef run(x):\n    import late\n    return words.W + late.L\n",
        )
        write(f"{folder}/words.py", f"W = 'word of {folder}, '\n")
        write(f"{folder}/late.py", f"L = 'late of {folder}'\n")
    run_a = isolation.load_object("feature:run", tmp_path / "a")
    run_b = isolation.load_object("feature:run", tmp_path / "b")
    assert run_a(0) == "word of a, late of a"
    assert run_b(0) == "word of b, late of b"
    assert not {"feature", "words", "late"} & sys.modules.keys()


def test_packages_relative_imports_and_the_project_around(tmp_path: Path, write: Write) -> None:
    write("app/__init__.py", "")
    write("app/db.py", "NAME = 'db'\n")
    write("app/triage/__init__.py", "")
    write("app/triage/rules.py", "R = 'rules'\n")
    write("src/lib/deep/tool.py", "T = 'tool'\n")
    write("src/lib/__init__.py", "")
    write(
        "app/triage/feature.py",
        "from ..db import NAME\nfrom . import rules\nimport app.db as again\nimport lib.deep.tool\n"
        "from lib.deep import tool as t\n"
        "def run(x): return [NAME, rules.R, again.NAME, lib.deep.tool.T, t.T]\n",
    )
    run = isolation.load_object("feature:run", tmp_path / "app" / "triage")
    assert run(0) == ["db", "rules", "db", "tool", "tool"]


def test_types_of_a_module_can_be_resolved(tmp_path: Path, write: Write) -> None:
    write(
        "feature.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom pydantic import BaseModel\n"
        "@dataclass\nclass Inner:\n    n: int\nclass Outer(BaseModel):\n    inner: Inner\n    more: list[Outer] = []\n"
        "def run(x): return Outer.model_validate(x).inner.n\n",
    )
    run = isolation.load_object("feature:run", tmp_path)
    assert run({"inner": {"n": 3}, "more": [{"inner": {"n": 4}}]}) == 3


def test_an_edit_is_seen_by_the_next_load(tmp_path: Path, write: Write) -> None:
    write("feature.py", "import words\ndef run(x): return words.W\n")
    write("words.py", "W = 1\n")
    old = isolation.load_object("feature:run", tmp_path)
    write("words.py", "W = 2\n")
    assert isolation.load_object("feature:run", tmp_path)(0) == 2
    assert old(0) == 1


def test_an_installed_module_is_found(tmp_path: Path) -> None:
    assert isolation.load_object("json:dumps", tmp_path)([1]) == "[1]"


def test_shiftright_is_never_a_second_copy(tmp_path: Path, write: Write) -> None:
    write("shiftright/__init__.py", "raise RuntimeError\n")
    write("feature.py", "from shiftright.errors import Error\ndef run(x): return Error\n")
    from shiftright.errors import Error

    assert isolation.load_object("feature:run", tmp_path)(0) is Error


@pytest.mark.parametrize(
    ("text", "reference", "message", "line"),
    [
        ("def run(x:\n", "feature:run", "SyntaxError", 1),
        ("x = 1\ny = 1 / 0\n", "feature:run", "ZeroDivisionError: division by zero", 2),
        ("\nimport sys\nsys.exit(3)\n", "feature:run", "SystemExit: 3", 3),
        ("def run(x): pass\n", "feature:ran", "has no 'ran'", 9),
        ("def run(x): pass\n", "featur:run", "there is no module 'featur'", 9),
    ],
)
def test_what_is_broken_is_named_with_its_line(
    tmp_path: Path, write: Write, text: str, reference: str, message: str, line: int
) -> None:
    write("feature.py", text)
    with pytest.raises(SpecError, match=message) as caught:
        isolation.load_object(reference, tmp_path, file=tmp_path / "spec.yaml", line=9)
    assert caught.value.line == line


def test_a_missing_library_is_no_broken_contract(tmp_path: Path, write: Write) -> None:
    write("feature.py", "import helper\n")
    write("helper.py", "\nimport no_such_library\n")
    with pytest.raises(MissingDependency, match="imports 'no_such_library'") as caught:
        isolation.load_object("feature:run", tmp_path)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "helper.py"), 2)
    assert "_shiftright_" not in str(caught.value)


def test_sources_are_what_the_code_imports_and_names(tmp_path: Path, write: Write) -> None:
    write("f/feature.py", "def run(x):\n    from lib import a\n    return open('queues.txt')\n")
    write("f/queues.txt", "billing\n")
    write("f/unused.py", "")
    write("lib/__init__.py", "")
    write("lib/a.py", "from . import b\nfrom .c import x\n")
    write("lib/b.py", "import json\n")
    write("lib/c.py", "x = 1\n")
    write("lib/d.py", "")
    found = sources.trace("feature", tmp_path / "f")
    assert {path.relative_to(tmp_path).as_posix() for path in found.modules} == {
        "f/feature.py", "lib/__init__.py", "lib/a.py", "lib/b.py", "lib/c.py",
    }  # fmt: skip
    assert {path.name for path in found.named} == {"queues.txt"}


def test_a_digest_is_the_same_wherever_the_project_lies(tmp_path: Path, write: Write) -> None:
    digests = set()
    for place in ("one", "two/deeper"):
        files = [write(f"{place}/f/feature.py", "x = 1\n"), write(f"{place}/lib.py", "y = 1\n")]
        digests.add(sources.digest_files(files, tmp_path / place / "f"))
    assert len(digests) == 1
    files[1].write_text("y = 2\n")
    assert sources.digest_files(files, tmp_path / "two/deeper/f") not in digests
