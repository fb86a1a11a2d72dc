"""What the environment says, read once at the edge and handed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from shiftright.errors import UsageError

ROOT_MARKERS = (".shiftright", "pyproject.toml", ".git")


class Settings(msgspec.Struct, frozen=True):
    """Where a project keeps its things.

    ``root`` is the nearest parent with ``.shiftright/``, ``pyproject.toml`` or ``.git`` (else the start folder);
    ``home`` holds the records (``SHIFTRIGHT_HOME``, default ``<root>/.shiftright``); ``records_url`` is an
    SQLAlchemy URL (``SHIFTRIGHT_RECORDS_URL``, default SQLite in ``home``); ``telemetry_url`` is where traces are kept
    (``SHIFTRIGHT_TELEMETRY_URL``, default DuckDB in ``home``); ``key`` opens a server of ours (``SHIFTRIGHT_KEY``).
    """

    root: Path
    home: Path
    records_url: str
    telemetry_url: str = ""
    key: str | None = None

    @classmethod
    def load(cls, start: Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
        """Settings of the project around ``start`` (default: the current folder).

        Raises:
            UsageError: when ``start`` does not exist.
        """
        environment = os.environ if env is None else env
        root = project_root(start or Path.cwd())
        home = Path(environment.get("SHIFTRIGHT_HOME") or root / ".shiftright")
        url = environment.get("SHIFTRIGHT_RECORDS_URL") or f"sqlite:///{home / 'records.db'}"
        telemetry = environment.get("SHIFTRIGHT_TELEMETRY_URL") or f"duckdb:///{home / 'telemetry.duckdb'}"
        return cls(root, home, url, telemetry, environment.get("SHIFTRIGHT_KEY") or None)


def project_root(start: Path) -> Path:
    """Nearest folder at or above ``start`` that marks a project, else ``start`` itself."""
    if not start.exists():
        raise UsageError(f"{start} does not exist", hint="Give a folder or file of your project.")
    here = start.resolve()
    folder = here if here.is_dir() else here.parent
    for candidate in (folder, *folder.parents):
        if any((candidate / marker).exists() for marker in ROOT_MARKERS):
            return candidate
    return folder
