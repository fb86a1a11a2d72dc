"""action.yml: its shell steps, run as a runner would, against an API on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from repositories import SPEC, Repository

from shiftright.ship.comment import MARKER, NOTHING

ACTION = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "name" in step}
needs_programs = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("bash", "curl", "jq")), reason="needs bash, curl and jq"
)


class Api(ThreadingHTTPServer):
    """Comments of one pull request, as GitHub's API keeps them. ``refuses``: the token is a fork's."""

    daemon_threads = True

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.refuses = False
        self.tokens: set[str | None] = set()
        super().__init__(("127.0.0.1", 0), _Answering)


class _Answering(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        if self.path == "/user":
            return self._say(403, {})
        page = int(re.search(r"page=(\d+)$", self.path)[1])  # type: ignore[index]
        return self._say(200, self.server.comments[100 * page - 100 : 100 * page])

    def do_POST(self) -> None:
        self._keep(self._new())

    def do_PATCH(self) -> None:
        number = int(self.path.rpartition("/")[2])
        self._keep(next(comment for comment in self.server.comments if comment["id"] == number))

    def _new(self) -> dict[str, Any]:
        return {"id": 1000 + len(self.server.comments), "user": {"type": "Bot", "login": "bot"}}

    def _keep(self, comment: dict[str, Any]) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        if self.server.refuses:
            return self._say(403, {})
        self.server.tokens.add(self.headers["Authorization"])
        comment["body"] = body
        if comment not in self.server.comments:
            self.server.comments.append(comment)
        return self._say(200, comment)

    def _say(self, status: int, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        """Silent."""


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Job:
    """One job of a workflow on a checkout."""

    def __init__(self, checkout: Path, place: Path, api: Api, **event: Any) -> None:
        place.mkdir()
        (place / "bin").mkdir()
        program = place / "bin" / "shiftright"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m shiftright "$@"\n')
        program.chmod(0o755)
        (place / "event.json").write_text(json.dumps({"pull_request": {"number": 7, "labels": [], **event}}))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHIFTRIGHT_", "GITHUB_"))}
        self.checkout, self.place = checkout, place
        self.env = {
            **kept,
            "PATH": f"{place / 'bin'}:{kept['PATH']}",
            "RUNNER_TEMP": str(place),
            "GITHUB_OUTPUT": str(place / "output"),
            "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
            "GITHUB_EVENT_PATH": str(place / "event.json"),
            "GITHUB_API_URL": f"http://127.0.0.1:{api.server_address[1]}",
            "GITHUB_REPOSITORY": "ada/echo",
            "GITHUB_BASE_REF": "main",
        }

    def step(self, name: str, **env: str) -> subprocess.CompletedProcess[str]:
        # as the runner starts a `shell: bash` step
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]],
            cwd=self.checkout,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def run(self, token: str = "t") -> int:
        label = ACTION["inputs"]["sign-off-label"]["default"]
        gate = self.step("Gate", BASE="", REQUIRE="merge", MAX_COST="", SIGN_OFF_LABEL=label)
        assert gate.returncode == 0, gate.stderr
        comment = self.step("Comment", TOKEN=token, NUMBER="7")
        assert comment.returncode == 0, comment.stderr
        outputs = dict(line.split("=", 1) for line in (self.place / "output").read_text().splitlines())
        print((self.place / "shiftright" / "gate.json").read_text())
        return self.step("Answer", CODE=outputs["code"]).returncode


def test_no_step_puts_anybodys_text_into_a_script() -> None:
    for step in STEPS.values():
        assert "${{" not in step["run"], "an expression in a script is text of strangers run as code"
    for step in ACTION["runs"]["steps"]:
        assert "secrets." not in json.dumps(step)


def test_the_workflows_of_the_docs_are_yaml_and_name_the_inputs_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ship.md").read_text(encoding="utf-8")
    github, gitlab = (
        yaml.safe_load(block)
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        if "shiftright gate" in block or "action" in block
    )
    checkout, gate = github["jobs"]["gate"]["steps"]
    assert checkout["with"] == {"fetch-depth": 0}
    assert set(gate["with"]) <= set(ACTION["inputs"])
    assert any(line.startswith("shiftright gate") for line in gitlab["gate"]["script"])


@needs_programs
def test_one_comment_that_is_kept_up_to_date(repository: Repository, tmp_path: Path, api: Api) -> None:
    code = (repository.folder / "echo.py").read_text()
    api.comments += [{"id": i, "body": "words", "user": {"type": "User", "login": "ada"}} for i in range(100)]
    api.comments.append({"id": 101, "body": f"{MARKER} mine", "user": {"type": "User", "login": "mallory"}})
    repository.branch("harm", **{"prompt.md": "Say it back quickly."})
    runner = repository.clone(tmp_path / "runner")
    assert Job(runner.folder, tmp_path / "first", api).run() == 1
    (ours,) = [c for c in api.comments if c["user"]["type"] == "Bot"]
    assert ours["body"].startswith(f"{MARKER}\n### Merge? ❌ no")
    assert (tmp_path / "first" / "summary.md").read_text() == ours["body"]

    # the harm is taken back, something harmless is left
    repository.commit("better", **{"prompt.md": "Say it back.", "echo.py": code.replace("hasty", "in_haste")})
    runner.git("pull", "-q")
    assert Job(runner.folder, tmp_path / "second", api).run() == 0
    (ours,) = [c for c in api.comments if c["user"]["type"] == "Bot"]
    assert ours["body"].startswith(f"{MARKER}\n### Merge? ✅ yes")
    assert api.tokens == {"Bearer t"}


@needs_programs
def test_a_fork_may_not_comment_and_is_answered_all_the_same(
    repository: Repository, tmp_path: Path, api: Api
) -> None:
    api.refuses = True
    repository.branch("harm", **{"prompt.md": "Say it back quickly."})
    runner = repository.clone(tmp_path / "runner")
    assert Job(runner.folder, tmp_path / "job", api).run() == 1
    assert Job(runner.folder, tmp_path / "without", api).run(token="") == 1
    assert not api.comments
    assert "Merge? ❌ no" in (tmp_path / "job" / "summary.md").read_text()


@needs_programs
def test_a_label_is_the_owners_word(repository: Repository, tmp_path: Path, api: Api) -> None:
    repository.branch("easier", **{"spec.yaml": SPEC.replace("5 points", "20 points")})
    runner = repository.clone(tmp_path / "runner")
    assert Job(runner.folder, tmp_path / "without", api).run() == 1
    label = {"name": ACTION["inputs"]["sign-off-label"]["default"]}
    assert Job(runner.folder, tmp_path / "with", api, labels=[label]).run() == 0
    assert "agreed to by" in api.comments[0]["body"]


@needs_programs
def test_nothing_touched_writes_no_comment_and_an_error_is_shown(
    repository: Repository, tmp_path: Path, api: Api
) -> None:
    runner = repository.clone(tmp_path / "runner")
    assert Job(runner.folder, tmp_path / "nothing", api).run() == 0
    assert NOTHING in (tmp_path / "nothing" / "summary.md").read_text()
    repository.branch("broken", **{"spec.yaml": "feature: ["})
    broken = repository.clone(tmp_path / "broken")
    assert Job(broken.folder, tmp_path / "error", api).run() == 3
    assert "not YAML" in (tmp_path / "error" / "summary.md").read_text()
    assert not api.comments
