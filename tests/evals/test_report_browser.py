"""The page in a real browser: no request leaves it, and its filters work."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from projects import Project

from shiftright.evals.report.gather import gather
from shiftright.evals.report.html import to_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]
# Runs what a person would do and writes what they would see into the page's title.
ACT = """
<script>addEventListener("load", function () {
  const form = document.querySelector(".filters"), seen = [];
  const visible = c => !c.hidden && c.offsetHeight > 0;
  const shown = () => Array.from(document.querySelectorAll(".case")).filter(visible).length;
  const set = (name, value) => {
    form.elements[name].value = value;
    form.dispatchEvent(new Event("input"));
    seen.push(shown());
  };
  seen.push(shown());
  set("change", "broke"); set("tag", "odd"); set("text", "hello 2"); set("text", "nowhere");
  set("text", ""); set("tag", ""); set("change", "");
  document.title = "seen " + seen.join(",");
});</script></body>
"""


class Logged(SimpleHTTPRequestHandler):
    paths: list[str] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        super().do_GET()

    def log_message(self, *words: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, int]]]:
    folder = tmp_path_factory.mktemp("page")
    project = Project(folder / "project")
    run = project.evaluate("worse")
    with project.records() as records:
        report = gather(run.run_id, project.settings, records)
    broke = report.broke
    expected = {
        "all": len(report.cases),
        "broke": len(broke),
        "odd": sum("odd" in case.tags for case in broke),
        "text": sum("odd" in case.tags and "hello 2" in case.value for case in broke),
    }
    text = to_html(report)
    (folder / "plain.html").write_text(text)
    (folder / "acting.html").write_text(text.replace("</body>", ACT))
    Logged.paths.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Logged, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", expected
    server.shutdown()
    server.server_close()
    thread.join()


def dom(url: str, folder: Path) -> str:
    """The page's elements once it has loaded. Every host but this one resolves to nothing."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--dump-dom", url,
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_filters_work(page: tuple[str, dict[str, int]], tmp_path: Path) -> None:
    url, expected = page
    found = re.search(r"<title>seen ([\d,]+)</title>", dom(f"{url}/acting.html", tmp_path))
    assert found is not None
    numbers = [int(number) for number in found[1].split(",")]
    every, broke, odd, text = (expected[name] for name in ("all", "broke", "odd", "text"))
    assert numbers == [every, broke, odd, text, 0, odd, broke, every]
    assert every > broke > odd > text > 0


def test_the_page_asks_for_nothing_but_itself(page: tuple[str, dict[str, int]], tmp_path: Path) -> None:
    url, _ = page
    Logged.paths.clear()
    text = dom(f"{url}/plain.html", tmp_path)
    assert [path for path in Logged.paths if path != "/favicon.ico"] == ["/plain.html"]
    assert 'class="filters"' in text
    assert not re.search(r'class="filters"[^>]* hidden', text), "the script runs under the page's own policy"
