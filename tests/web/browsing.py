"""Chromium on a served site."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from granian.server.embed import Server
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from shiftright.web.application import application
from shiftright.web.site import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
FIND_VIOLATIONS = """
const done = arguments[0];
axe.run().then(found => done(found.violations.map(v => v.id + ": " + v.nodes[0].html.slice(0, 200))));
"""


@contextmanager
def listening(site: Site, port: int) -> Iterator[str]:
    """The site's address while it is served on a thread."""
    server = Server(application(site), address="127.0.0.1", port=port, interface="asgi", log_enabled=False)
    ready, loops = threading.Event(), []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        task = asyncio.create_task(server.serve())
        ready.set()
        await task

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait(10)
    yield f"http://127.0.0.1:{port}"
    loops[0].call_soon_threadsafe(server.stop)
    thread.join(10)


@contextmanager
def chromium(folder: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield browser
    finally:
        browser.quit()


def look(browser: webdriver.Chrome, *, width: int, dark: bool) -> None:
    """The window's width in CSS pixels, and light or dark."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def violations(browser: webdriver.Chrome) -> list[str]:
    """What axe-core has against the page."""
    browser.execute_script(AXE)
    found: list[str] = browser.execute_async_script(FIND_VIOLATIONS)
    return found


def console(browser: webdriver.Chrome) -> list[str]:
    """Errors and warnings since the last time."""
    entries: list[dict[str, Any]] = browser.get_log("browser")
    return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
