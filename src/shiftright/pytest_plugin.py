"""A contract as a test: ``pytest --shiftright`` makes one of every ``spec.yaml``, ``pytest DIR/spec.yaml`` of that one.

Each asks what ``shiftright gate`` asks of its feature. Without the option, and without a contract named on the command
line, nothing is collected, and nothing beyond this file is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from shiftright.ship.gate import Gate


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("shiftright", "contracts of AI features as tests")
    group.addoption(
        "--shiftright", action="store_true", help="Collect every spec.yaml: may the change merge?"
    )
    group.addoption(
        "--shiftright-base",
        metavar="REF",
        default=None,
        help="Compare with the merge-base with REF; default: the main line.",
    )
    group.addoption(
        "--shiftright-require",
        choices=("merge", "release"),
        default="merge",
        help="What a contract has to pass: merge (default), or release.",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ContractFile | None:
    named = parent.session.isinitpath(file_path)
    if file_path.name == "spec.yaml" and (named or parent.config.getoption("--shiftright")):
        return ContractFile.from_parent(parent, path=file_path)
    return None


class ContractFile(pytest.File):
    """One ``spec.yaml``."""

    def collect(self) -> Iterable[ContractItem]:
        yield ContractItem.from_parent(self, name=self.path.parent.name)


class ContractNotMet(Exception):
    """The change may not merge, or the release that is asked for is not proven."""


class ContractItem(pytest.Item):
    """The gate's answer for one contract."""

    def runtest(self) -> None:
        found = _gate(self.path.resolve(), self.config.getoption("--shiftright-base"))
        self.add_report_section("call", "shiftright", _said(found))
        if found.exit_code(self.config.getoption("--shiftright-require")):
            raise ContractNotMet(_said(found))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from shiftright.errors import Error

        if isinstance(excinfo.value, ContractNotMet | Error):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"contract: {self.name}"


def _gate(path: Path, base: str | None) -> Gate:
    import asyncio
    from contextlib import ExitStack

    from shiftright.settings import Settings
    from shiftright.ship.gate import gate
    from shiftright.store import open_records

    settings = Settings.load(path.parent)
    with ExitStack() as opened:
        # where nothing is touched there is nothing to open
        return asyncio.run(
            gate(
                settings,
                lambda: opened.enter_context(open_records(settings.records_url)),
                base=base,
                only=path,
            )
        )


def _said(gate: Gate) -> str:
    lines = [f"merge? {gate.merge} · release? {gate.verdict}"]
    for feature in gate.features:
        lines += [f"{feature.feature}: {reason}" for reason in feature.reasons]
        lines += [
            f"  {each.variant} · {row.check}: {row.target}: {row.verdict}: {row.reason}"
            for each in feature.variants
            for row in each.checks
        ]
        lines += [f"  look closer: shiftright show {each.run_id}" for each in feature.variants if each.run_id]
    return "\n".join(lines if gate.features else [*lines, "not touched by this change"])
