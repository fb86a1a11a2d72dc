"""The long proofs run outside of CI; what they are made of must not rot meanwhile."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from shiftright import spec

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_the_contracts_of_the_benchmarks_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import large
    import peers
    import runner

    for folder in (runner.Bench(1).fresh(3), peers.fresh(3), large.evaluated(3)[0]):
        assert spec.load(folder).check("right").clauses
        shutil.rmtree(folder)


@pytest.mark.parametrize("script", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_every_benchmark_can_be_imported(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, script, raising=False)
    __import__(script)
