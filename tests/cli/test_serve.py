"""``shiftright serve`` and ``shiftright key`` as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


def shiftright(folder: Path, *words: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "SHIFTRIGHT_KEY"}
    return subprocess.run(
        [sys.executable, "-m", "shiftright", *words], cwd=folder, capture_output=True, text=True, timeout=60,
        check=False, env=environment | ({"SHIFTRIGHT_KEY": key} if key else {}),
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".shiftright").mkdir()
    return tmp_path


def test_serve_says_when_it_is_ready_and_ends_cleanly(project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0"], cwd=project,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"SHIFTRIGHT_KEY": "open-sesame"},
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["key"], ready["pid"]) == ("open-sesame", process.pid)
    published = json.loads((project / ".shiftright" / "serve.json").read_text(encoding="utf-8"))
    assert published == {"url": ready["url"], "pid": process.pid}
    assert httpx.get(ready["url"] + "/v1/models").status_code == 401
    got = httpx.get(ready["url"] + "/v1/models", headers={"authorization": "Bearer open-sesame"})
    assert got.json() == {"object": "list", "data": []}
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, ""), errors
    assert not (project / ".shiftright" / "serve.json").exists()


def test_serve_refuses_other_addresses_without_a_key(project: Path) -> None:
    done = shiftright(project, "serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 3
    assert "shiftright key create" in done.stderr


def test_keys_are_made_listed_and_revoked(project: Path) -> None:
    made = json.loads(shiftright(project, "key", "create", "shop", "--per-minute", "60", "--json").stdout)
    assert made["key"].startswith("sk-sr-")
    listed = shiftright(project, "key", "list", "--json").stdout
    assert made["key"] not in listed
    assert json.loads(listed)["data"][0]["limits"] == {"requests_per_minute": 60.0}
    assert shiftright(project, "key", "revoke", "shop").returncode == 0
    assert "revoked" in shiftright(project, "key", "list").stdout
    assert shiftright(project, "key", "revoke", "shop").returncode == 3
