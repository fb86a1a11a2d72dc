"""A small project with a contract, written for one test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from feature_calls import Load

from shiftright import features
from shiftright.core.spec import Spec, Variant
from shiftright.features import LoadedFeature


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """``load(code, run="feature:run", **settings)`` -> the loaded feature."""
    (tmp_path / "pyproject.toml").write_text("")

    def load(code: str = "", run: str | None = "feature:run", **settings: Any) -> LoadedFeature:
        (tmp_path / "feature.py").write_text(dedent(code))
        (tmp_path / "spec.yaml").write_text(f"feature: triage\nrun: {run}\n")
        variant = Variant("plain", settings, root=tmp_path)
        spec = Spec("triage", tmp_path / "spec.yaml", run=run, variants={"plain": variant})
        return features.load(spec, "plain")

    return load
