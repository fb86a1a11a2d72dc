"""A release is called as it was frozen, with the code there is, or not at all."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shiftright import features
from shiftright import spec as specs
from shiftright.core.release import Release
from shiftright.core.spec import Spec
from shiftright.errors import SpecError, StoreError
from shiftright.features import identity

CONTRACT = """\
feature: shout
run: shout:shout
touches: [shout.py, prompts/**]
cases: cases.jsonl
baseline: plain
variants:
  plain: {prompt: prompts/plain.md, marks: 1}
  loud: {prompt: prompts/loud.md, marks: 3, table: ../table.bin}
checks:
  right: {score: exact, at_least: 70%}
"""
CODE = """\
from shiftright import Context

async def shout(text: str, ctx: Context) -> str:
    return ctx.prompt().render({"input": text}) + "!" * ctx.variant["marks"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "project" / "shout"
    (root / "prompts").mkdir(parents=True)
    (root / "spec.yaml").write_text(CONTRACT)
    (root / "shout.py").write_text(CODE)
    (root / "cases.jsonl").write_text('{"input": "a", "expected": "A"}\n')
    (root / "prompts" / "plain.md").write_text("{{ input }}")
    (root / "prompts" / "loud.md").write_text("{{ input | upper }}")
    (root.parent / "table.bin").write_bytes(b"\xff\x00")
    return root


def frozen(spec: Spec, name: str = "loud", **changes: Any) -> Release:
    variant = spec.variants[name]
    loaded = features.load(spec, variant)
    texts = {
        key: path.read_text()
        for key, path in identity.named_files(variant, loaded.run).items()
        if path.suffix == ".md"
    }
    made = Release(
        feature=spec.feature,
        variant=name,
        run=loaded.run,
        settings=variant.settings,
        files=texts,
        code=features.digest(loaded),
        commit="",
        snapshot=None,
        contract=spec.digest,
        checks=(),
        confidence={},
    )
    return msgspec.structs.replace(made, **changes)


def said(release: Release, root: Path, text: str = "hey") -> Any:
    spec = specs.load(root / "spec.yaml")
    loaded = features.load_release(release, spec, root.parent / ".shiftright")
    return asyncio.run(features.call(loaded, text, case_id="c1")).output


def test_a_release_answers_as_it_was_frozen_whatever_the_files_say_later(folder: Path) -> None:
    release = frozen(specs.load(folder / "spec.yaml"))
    assert said(release, folder) == "HEY!!!"
    (folder / "prompts" / "loud.md").write_text("changed")
    (folder / "prompts" / "new.md").write_text("new")
    (folder / "spec.yaml").write_text(
        CONTRACT.replace("prompts/loud.md, marks: 3", "prompts/new.md, marks: 9")
    )
    assert said(release, folder) == "HEY!!!"
    (folder / "prompts" / "new.md").unlink()
    (folder / "prompts" / "loud.md").unlink()
    without = (line for line in CONTRACT.splitlines() if not line.strip().startswith("loud:"))
    (folder / "spec.yaml").write_text("\n".join(without))
    assert said(release, folder) == "HEY!!!"


def test_other_code_than_it_was_frozen_with_is_refused(folder: Path) -> None:
    release = frozen(specs.load(folder / "spec.yaml"), commit="a" * 40)
    (folder / "shout.py").write_text((folder / "shout.py").read_text().replace('"!"', '"?"'))
    with pytest.raises(SpecError, match="frozen from other code") as refused:
        said(release, folder)
    assert "aaaaaaaaaaaa" in str(refused.value)


def test_a_large_or_binary_file_stays_where_it_is_and_has_to_be_as_it_was(folder: Path) -> None:
    release = frozen(specs.load(folder / "spec.yaml"))
    assert set(release.files) == {"prompts/loud.md"}
    assert said(release, folder) == "HEY!!!"
    (folder.parent / "table.bin").write_bytes(b"\xff\x01")
    with pytest.raises(SpecError, match="frozen from other code"):
        said(release, folder)


def test_a_changed_copy_is_written_again(folder: Path) -> None:
    release = frozen(specs.load(folder / "spec.yaml"))
    said(release, folder)
    (copy,) = (folder.parent / ".shiftright").rglob("loud.md")
    copy.write_text("{{ input }} is what somebody wrote here")
    assert said(release, folder) == "HEY!!!"


@pytest.mark.parametrize("name", ["{tmp}/x.md", "prompts/../../../../../x.md"])
def test_no_file_leaves_the_folder_of_its_release(folder: Path, tmp_path: Path, name: str) -> None:
    place = name.format(tmp=tmp_path)
    release = frozen(specs.load(folder / "spec.yaml"), files={place: "text"})
    with suppress(StoreError):
        said(release, folder)
    kept = folder.parent / ".shiftright" / "releases"
    assert all(path.is_relative_to(kept) for path in tmp_path.rglob("x.md"))


def test_a_schema_that_a_prompt_names_belongs_to_the_variant(folder: Path) -> None:
    (folder / "prompts" / "loud.md").write_text("---\noutput: shape.json\n---\n{{ input }}")
    schema = folder / "prompts" / "shape.json"
    schema.write_text(json.dumps({"type": "string"}))
    variant = specs.load(folder / "spec.yaml").variants["loud"]
    assert set(identity.named_files(variant, None)) == {
        "prompts/loud.md",
        "prompts/shape.json",
        "../table.bin",
    }


def test_threads_that_load_a_release_at_once_write_it_once(folder: Path) -> None:
    spec = specs.load(folder / "spec.yaml")
    release, home = frozen(spec), folder.parent / ".shiftright"
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(lambda _: features.load_release(release, spec, home), range(32)))
    assert {features.digest(each) for each in loaded} == {release.code}
    assert not [path for path in home.rglob("*") if path.suffix == ".part"]
