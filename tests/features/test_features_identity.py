"""What changes a variant's digest, and what does not; which variant is current."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from shiftright import features
from shiftright import spec as specs
from shiftright.errors import UsageError

CONTRACT = """
feature: triage
run: feature:run
cases: cases.jsonl
baseline: zero
variants:
  zero: {model: 'local:smollm2-135m', prompt: prompts/zero.md, data: {index: index.json}}
  same: {model: 'local:smollm2-135m', prompt: prompts/zero.md, data: {index: index.json}}
  few: {model: 'local:smollm2-135m', prompt: prompts/few.md}
  rules: {run: 'feature:rules'}
  program: {run: 'sh script.sh'}
checks:
  right: {score: exact, at_least: 70%}
  polite: {judge: polite.md, at_least: 70%}
"""
FILES = {
    "spec.yaml": CONTRACT,
    "cases.jsonl": '{"input": "a", "expected": "a"}\n',
    "polite.md": "---\nmodel: recorded:x\n---\nBe polite.",
    "feature.py": "import helper\ndef run(x):\n    import late\n    open('words.txt')\ndef rules(x): return x\n",
    "helper.py": "H = 1\n",
    "late.py": "L = 1\n",
    "words.txt": "w\n",
    "prompts/zero.md": "zero {{ input }}",
    "prompts/few.md": "few {{ input }}",
    "index.json": "{}",
    "other.py": "O = 1\n",
    "script.sh": "cat\n",
    "README.md": "notes",
    "sub/spec.yaml": "feature: other\n",
    "sub/code.py": "S = 1\n",
    ".hidden/code.py": "S = 1\n",
}
CODE = {"feature.py", "helper.py", "late.py", "words.txt", "script.sh"}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, {**FILES, "pyproject.toml": ""})
    return tmp_path


def digest(root: Path, variant: str) -> str:
    return features.digest(features.load(specs.load(root), variant))


@pytest.mark.parametrize(
    ("variant", "covered"),
    [
        ("zero", CODE | {"prompts/zero.md", "index.json"}),
        ("few", CODE | {"prompts/few.md"}),
        ("rules", CODE),
        ("program", CODE - {"words.txt"} | {"other.py"}),
    ],
)
def test_a_digest_covers_code_and_named_files_and_nothing_else(
    project: Path, variant: str, covered: set[str]
) -> None:
    before = digest(project, variant)
    changed = set()
    for name, text in FILES.items():
        if name.endswith("spec.yaml"):
            continue
        (project / name).write_text(text + ("\nchanged = True\n" if name.endswith(".py") else "\n"))
        if digest(project, variant) != before:
            changed.add(name)
        (project / name).write_text(text)
        assert digest(project, variant) == before
    assert changed == covered


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        ("open('seen.txt', 'a').write(x)", False),
        ("open('seen.txt', mode='w').write(x)", False),
        ("Path(__file__).with_name('seen.txt').write_text(x)", False),
        ("SEEN.write_text(x)", False),
        ("with SEEN.open('a') as file: file.write(x)", False),
        ("open('seen.txt').read()", True),
        ("open('seen.txt', 'r+').read()", True),
        ("open('seen.txt', 'a').write(x); open('seen.txt').read()", True),
        ("SEEN.write_text(SEEN.read_text() + x)", True),
        ("remember(SEEN)", True),
        ("SEEN.write_text(x); import reader", True),
        ("SEEN.write_text(x); import starred", True),
    ],
)
def test_a_file_that_the_code_only_writes_is_no_part_of_it(project: Path, code: str, counts: bool) -> None:
    (project / "reader.py").write_text("import feature\ndef read(): return feature.SEEN.read_text()\n")
    (project / "starred.py").write_text("from feature import *\ndef read(): return SEEN.read_text()\n")
    source = "from pathlib import Path\n" + ("SEEN = Path('seen.txt')\n" if "SEEN" in code else "")
    (project / "feature.py").write_text(f"{source}def run(x):\n    {code}\n")
    (project / "seen.txt").write_text("a")
    before = digest(project, "zero")
    (project / "seen.txt").write_text("b")
    assert (digest(project, "zero") != before) is counts


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        ("import json, re\ndef run(x): return json.dumps(x)", False),
        ("from pathlib import Path\ndef run(x): return Path('words.txt').read_text()", False),
        ("import helper\ndef run(x): return helper.H", False),
        ("import os\ndef run(x): return os.environ['scratch']", True),
        ("from importlib import import_module\ndef run(x): return import_module(x)", True),
        ("import importlib.util\ndef run(x): return importlib.util.find_spec(x)", True),
        ("def run(x): return __import__(x)", True),
        ("def run(x): exec(open(x).read())", True),
        ("from pathlib import Path\ndef run(x): return Path(x + '.py').read_text()", True),
        ("from pathlib import Path\ndef run(x): return Path(__file__).with_name(x).read_text()", True),
        ("import runpy\ndef run(x): runpy.run_path(x)", True),
        ("import subprocess\ndef run(x): subprocess.run(['python', x])", True),
        ("import asyncio\nasync def run(x): await asyncio.create_subprocess_exec('python', x)", True),
        ("import os\ndef run(x): os.system(x)", True),
        ("import os\ndef run(x): return os.listdir(x)", True),
        ("import pickle\ndef run(x): return pickle.loads(x)", True),
        ("import sys\nsys.path.insert(0, 'sub')\ndef run(x): return x", True),
        ("import msgspec\ndef run(x): return msgspec.json.encode(x)", True),
    ],
)
def test_a_file_that_the_code_cannot_reach_is_no_part_of_it(project: Path, code: str, counts: bool) -> None:
    (project / "feature.py").write_text(code + "\n")
    before = digest(project, "zero")
    (project / "scratch.py").touch()
    assert digest(project, "zero") == before, "an empty file is nothing"
    (project / "scratch.py").write_text("S = 1\n")
    assert (digest(project, "zero") != before) is counts


def test_a_helpers_reach_counts_too(project: Path) -> None:
    (project / "helper.py").write_text("import runpy\ndef run(x): runpy.run_path(x)\n")
    before = digest(project, "zero")
    (project / "scratch.py").write_text("S = 1\n")
    assert digest(project, "zero") != before


def test_a_comment_is_no_other_feature(project: Path) -> None:
    before = digest(project, "zero")
    code = (project / "feature.py").read_text()
    (project / "feature.py").write_text("# a remark\n\n" + code + "\n\n# and another\n")
    assert digest(project, "zero") == before


def test_a_docstring_may_be_a_prompt_and_counts(project: Path) -> None:
    before = digest(project, "zero")
    code = (project / "feature.py").read_text()
    (project / "feature.py").write_text('"""Look an order up by its number."""\n' + code)
    assert digest(project, "zero") != before


def test_names_of_variants_and_places_do_not_count(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, {**FILES, "pyproject.toml": ""})
    assert digest(project, "zero") == digest(project, "same") == digest(elsewhere, "zero")
    assert digest(project, "zero") != digest(project, "few")


def test_settings_count(project: Path) -> None:
    before = digest(project, "zero")
    (project / "spec.yaml").write_text(
        CONTRACT.replace("prompts/zero.md,", "prompts/zero.md, temperature: 1,", 1)
    )
    assert digest(project, "zero") != before
    assert digest(project, "same") == before


def test_touches_say_what_counts(project: Path) -> None:
    (project / "spec.yaml").write_text(CONTRACT + "touches: [helper.py, prompts/**]\n")
    before = digest(project, "zero")
    (project / "other.py").write_text("O = 2\n")
    (project / "prompts/few.md").write_text("another")
    assert digest(project, "zero") == before
    (project / "helper.py").write_text("H = 2\n")
    assert digest(project, "zero") != before


def test_wide_patterns_leave_hidden_folders_out(project: Path) -> None:
    (project / "spec.yaml").write_text(CONTRACT + "touches: ['**/*.py']\n")
    before = digest(project, "zero")
    write(project, {".shiftright/baselines/abc/feature.py": "", "__pycache__/x.py": ""})
    assert digest(project, "zero") == before


def test_the_digest_is_the_same_in_another_process(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from shiftright import features, spec\n"
        "print(features.digest(features.load(spec.load(Path(sys.argv[1])), 'zero')))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    other = subprocess.run(
        [sys.executable, "-c", code, str(project)], env=env, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest(project, "zero")


def test_an_old_copy_of_the_feature_runs_its_own_code(project: Path, tmp_path: Path) -> None:
    """A baseline from version control is the same folder at another place, in the same process."""
    old = tmp_path / "old"
    write(
        old,
        {**FILES, "pyproject.toml": "", "feature.py": "def run(x):\n    import late\n    return late.L\n"},
    )
    write(old, {"late.py": "L = 'old'\n"})
    write(
        project, {"feature.py": "def run(x):\n    import late\n    return late.L\n", "late.py": "L = 'new'\n"}
    )

    async def both() -> list[Any]:
        sides = [features.load(specs.load(root), "zero") for root in (project, old)]
        return [(await features.call(side, "x", case_id="c")).output for side in sides]

    assert asyncio.run(both()) == ["new", "old"]


def test_outside_a_call_the_baseline_is_current(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "prompts")
    assert features.variant("triage")["prompt"] == "prompts/zero.md"
    with pytest.raises(UsageError, match=r"variant\('tirage'\): no call of this feature is running"):
        features.variant("tirage")


def test_an_unknown_variant_is_named(project: Path) -> None:
    with pytest.raises(UsageError, match="has no variant 'one'"):
        features.load(specs.load(project), "one")
