"""The feedback widget in a real browser, on another site's page with a strict Content-Security-Policy."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shiftright.improve.feedback import read

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]
WIDGET = Path(__file__).parents[2] / "src" / "shiftright" / "web" / "static" / "feedback.js"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>waiting</title>
<script src="SERVER/static/feedback.js" defer></script><script src="/act.js" defer></script></head>
<body><shiftright-feedback trace-id="{TRACE}" token="t0ken"></shiftright-feedback></body></html>"""
# What a person would do; the page's title says what they would see.
ACT = """
addEventListener("load", async () => {
  const root = document.querySelector("shiftright-feedback").shadowRoot;
  const said = () => root.querySelector("[role=status]").textContent;
  const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
  const until = async (ready) => { for (let i = 0; i < 200 && !ready(); i++) await pause(); };
  const [, down] = root.querySelectorAll("[data-value]");
  const seen = [root.querySelector("form").hidden];
  down.click();
  await until(() => said());
  seen.push(said(), down.getAttribute("aria-pressed"), root.querySelector("form").hidden);
  seen.push(root.activeElement && root.activeElement.name);
  root.querySelector("[name=comment]").value = "<b>wrong</b>";
  root.querySelector("[name=correction]").value = "card";
  root.querySelector("form button").click();
  await until(() => root.querySelector("form").hidden);
  const named = [...root.querySelectorAll("button, textarea")].every(
    (each) => each.getAttribute("aria-label") || each.textContent.trim() || each.closest("label"));
  seen.push(root.querySelector("form").hidden, named, getComputedStyle(down).cursor);
  document.title = JSON.stringify(seen);
});
"""


class Server(ThreadingHTTPServer):
    """Serves the widget, takes feedback as the real server does, and fails the first request."""

    def __init__(self) -> None:
        self.page = ""
        self.taken: list[bytes] = []
        self.asked = 0
        super().__init__(("127.0.0.1", 0), Answering)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        script = {"/static/feedback.js": WIDGET.read_text(encoding="utf-8"), "/act.js": ACT}.get(self.path)
        kind = "text/html" if script is None else "text/javascript"
        policy = f"default-src 'none'; script-src 'self' {self.server.page}; connect-src {self.server.page}"
        self._send(200, (script or PAGE.replace("SERVER", self.server.page)).encode(), kind, policy)

    def do_OPTIONS(self) -> None:
        self._send(204, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked += 1
        if self.server.asked > 1:
            self.server.taken.append(body)
        self._send(503 if self.server.asked == 1 else 200, b"{}", "application/json")

    def _send(self, status: int, body: bytes, kind: str, policy: str | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.send_header("access-control-allow-origin", "*")
        self.send_header("access-control-allow-headers", "content-type")
        if policy:
            self.send_header("content-security-policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Quiet."""


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """(the site with the answer, our server): two origins."""
    shop, ours = Server(), Server()
    shop.page = ours.url
    threads = [threading.Thread(target=each.serve_forever, daemon=True) for each in (shop, ours)]
    for thread in threads:
        thread.start()
    yield shop, ours
    for each in (shop, ours):
        each.shutdown()
        each.server_close()


def test_a_thumb_a_comment_and_a_correction(servers: tuple[Server, Server], tmp_path: Path) -> None:
    shop, ours = servers
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--enable-logging=stderr",
            "--dump-dom", shop.url,
        ],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    assert json.loads(title) == [True, "Thank you.", "true", False, "comment", True, True, "pointer"], (
        done.stderr[-2000:]
    )
    thumb, details = [read(body) for body in ours.taken]
    assert (thumb.trace_id, thumb.value, thumb.token, thumb.name) == (TRACE, 0, "t0ken", "thumbs")
    assert (details.comment, details.correction, details.value) == ("<b>wrong</b>", "card", None)
    assert thumb.idempotency_key != details.idempotency_key
    assert "Content Security Policy" not in done.stderr
