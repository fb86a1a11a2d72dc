"""``shiftright.yaml`` has one reader: retention, redaction and gateway refuse the same file alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shiftright import spec as specs
from shiftright.errors import SpecError
from shiftright.gateway.configuration import configure
from shiftright.monitor.retention import retention
from shiftright.tracing.redaction import kinds_of_project

READERS: tuple[Callable[[Path], Any], ...] = (
    specs.company,
    retention,
    kinds_of_project,
    lambda root: configure(root, {}),
)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", ["- a list\n", "data: {keep: 3 days\n", "\xff"])
def test_what_is_no_mapping_is_refused_by_everyone(
    tmp_path: Path, read: Callable[[Path], Any], text: str
) -> None:
    (tmp_path / "shiftright.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SpecError) as caught:
        read(tmp_path)
    assert caught.value.file == str(tmp_path / "shiftright.yaml")


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n"])
def test_none_and_an_empty_one_say_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "shiftright.yaml").write_text(text)
    assert specs.company(tmp_path) == {}
    for read in READERS:
        read(tmp_path)
