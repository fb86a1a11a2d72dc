from __future__ import annotations

from pathlib import Path

import pytest

from shiftright import spec
from shiftright.errors import SpecError, UsageError


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


def test_a_features_name_comes_before_a_folders(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "alpha").mkdir()
    (root / "alpha" / "spec.yaml").write_text("feature: gamma\n")
    (root / "delta").mkdir()
    (root / "delta" / "spec.yaml").write_text("feature: epsilon\n")
    monkeypatch.chdir(root)
    assert spec.find("alpha", root) == root / "a" / "spec.yaml"
    assert spec.find("./alpha", root) == Path("alpha/spec.yaml")
    assert spec.find("alpha/spec.yaml", root) == Path("alpha/spec.yaml")
    assert spec.find("delta", root) == Path("delta/spec.yaml")
    monkeypatch.chdir(root / "alpha")
    assert spec.find(".", root) == Path("spec.yaml")
    assert spec.find("alpha", root) == root / "a" / "spec.yaml"


def test_an_unknown_name_gets_the_nearest_and_a_double_one_both_places(root: Path) -> None:
    (root / "broken" / "spec.yaml").unlink()
    with pytest.raises(UsageError, match="Did you mean 'alpha'"):
        spec.find("alfa", root)
    (root / "b" / "spec.yaml").write_text("feature: alpha\n")
    with pytest.raises(UsageError, match=r"a/spec.yaml and .*b/spec.yaml"):
        spec.find("alpha", root)
    with pytest.raises(UsageError, match="shiftright init"):
        spec.find("alpha", root / ".hidden" / "none")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"feature: f\n\trun: x\n", 2),
        (b"feature: f\nchecks: [\n", 3),
        (b"feature: f\n# caf\xe9\n", 2),
        ("feature: f\n".encode("utf-16"), 1),
        (b"", 1),
        (b"a: &a [x]\n" + b"".join(b"a%d: &a%d [%s]\n" % (i, i, b"*a," * 99) for i in range(200)), 55),
    ],
    ids=["tab", "syntax", "latin-1", "utf-16", "empty", "aliases"],
)
def test_a_contract_that_cannot_be_read_is_said_when_a_name_is_not_found(
    root: Path, data: bytes, line: int
) -> None:
    (root / "broken" / "spec.yaml").write_bytes(data)
    assert spec.find("alpha", root) == root / "a" / "spec.yaml"
    with pytest.raises(SpecError) as caught:
        spec.find("f", root)
    assert caught.value.file == str(root / "broken" / "spec.yaml")
    assert caught.value.line == line


def test_a_misspelt_name_gets_the_nearest_first_and_then_the_contract_that_cannot_be_read(root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        spec.find("alpah", root)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Did you mean 'alpha'?")
    assert str(root / "broken" / "spec.yaml") in caught.value.hint
