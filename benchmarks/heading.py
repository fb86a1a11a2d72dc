"""What stands over every result: the day, the command, the versions. Light: it is no part of what is measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version


def header(title: str) -> str:
    command = re.sub(r"\S*/(?=benchmarks/)", "", " ".join(sys.argv))
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    versions = f"shiftright {version('shiftright')} ({revision}), Python {platform.python_version()}"
    machine = f"numpy {version('numpy')}, {os.cpu_count()} cores, {platform.machine()}"
    return f"# {title}\n\n{datetime.now(UTC):%Y-%m-%d} · `python {command}` · {versions}, {machine}\n"
