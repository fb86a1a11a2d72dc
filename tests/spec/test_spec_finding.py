from __future__ import annotations

from pathlib import Path

import pytest

from shiftright import spec
from shiftright.errors import UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, name in {
        "a": "alpha",
        "b/deep": "beta",
        ".hidden": "alpha",
        "node_modules/x": "alpha",
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "spec.yaml").write_text(f"feature: {name}\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "spec.yaml").write_text("feature: [\n")
    return tmp_path


def test_hidden_and_dependency_folders_are_left_out(root: Path) -> None:
    assert [path.parent.name for path in spec.discover(root)] == ["a", "deep", "broken"]


def test_by_name_by_folder_and_by_file(root: Path) -> None:
    beta = root / "b" / "deep" / "spec.yaml"
    assert spec.find("beta", root) == beta
    assert spec.find(str(beta.parent), root) == beta
    assert spec.find(str(beta), root) == beta


def test_an_unknown_name_gets_the_nearest_and_a_double_one_both_places(root: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'alpha'"):
        spec.find("alfa", root)
    (root / "b" / "spec.yaml").write_text("feature: alpha\n")
    with pytest.raises(UsageError, match=r"a/spec.yaml and .*b/spec.yaml"):
        spec.find("alpha", root)
    with pytest.raises(UsageError, match="shiftright init"):
        spec.find("alpha", root / ".hidden" / "none")
