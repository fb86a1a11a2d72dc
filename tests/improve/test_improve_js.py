"""The npm package: its own tests, with Node's test runner, and what goes into it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from shiftright.improve.feedback import Given

JS = Path(__file__).parents[2] / "js"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_package_passes_its_own_tests() -> None:
    done = subprocess.run(["node", "--test"], cwd=JS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_package_depends_on_nothing_and_names_what_is_there() -> None:
    package = json.loads((JS / "package.json").read_text())
    assert not {"dependencies", "devDependencies", "peerDependencies"} & package.keys()
    made_by_prepack = {"feedback.js"}
    assert all((JS / name).exists() for name in set(package["files"]) - made_by_prepack)


def test_it_sends_what_the_server_reads() -> None:
    sent = (JS / "index.js").read_text()
    assert all(f"{name}:" in sent for name in Given.__struct_fields__)
