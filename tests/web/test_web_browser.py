"""Every page in a real browser: widths, light and dark, keyboard, hostile text, from a complaint to a case."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from web_sites import HOSTILE, trace_id

from shiftright.web.site import Site

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from browsing import CHROMIUM, DRIVER, chromium, console, listening, look, violations  # noqa: E402
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="Chromium or its driver is not installed (apt-get install chromium chromium-driver)",
    ),
]
LOOKS = [(390, False), (1024, True), (1600, False)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with chromium(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(served: Site) -> Iterator[str]:
    with listening(served, free_port()) as found:
        yield found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def pages(site: Site) -> list[str]:
    run = site.records.runs.list(limit=1)[0].id
    return [
        "/", "/traces", f"/traces?text={'x' * 20}", f"/traces/{trace_id(1)}", f"/traces/{trace_id(71)}",
        "/features/echo", "/runs", f"/runs/{run}", "/inbox", "/inbox?feature=support", "/costs?by=user", "/playground",
        f"/playground?trace={trace_id(2)}",
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_every_page_is_sound(browser, address: str, served: Site, width: int, dark: bool) -> None:
    look(browser, width=width, dark=dark)
    console(browser)
    wrong = []
    for path in pages(served):
        browser.get(address + path)
        WebDriverWait(browser, 5).until(lambda b: not b.find_elements(By.CSS_SELECTOR, "[aria-busy]"))
        assert "owned" not in browser.title
        wrong += [f"{path}: {each}" for each in (*violations(browser), *console(browser))]
        beyond = browser.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        wrong += [f"{path} is {beyond} px too wide"] if beyond > 0 else []
    assert not wrong, "\n".join(wrong)


def test_hostile_text_is_text(browser, address: str, served: Site) -> None:
    look(browser, width=1280, dark=False)
    script = "return [document.querySelectorAll('main img, main script, main iframe').length, document.title]"
    for path in pages(served):
        browser.get(address + path)
        elements, title = browser.execute_script(script)
        assert elements == 0
        assert "owned" not in title
        assert not browser.find_elements(By.CSS_SELECTOR, 'a[href^="javascript:"]')
    browser.get(f"{address}/traces/{trace_id(71)}")
    text = browser.execute_script("return document.body.textContent")
    assert "<img src=x" in text
    assert "{{7*7}}" in text
    assert "\u202e" not in text
    assert "⟨U+202E⟩" in text
    assert "\x1b" not in text


def test_filters_change_the_list_in_place(browser, address: str) -> None:
    look(browser, width=1280, dark=False)
    browser.get(f"{address}/traces")
    rows = "#found tbody tr"
    assert len(browser.find_elements(By.CSS_SELECTOR, rows)) == 50
    browser.find_element(By.CSS_SELECTOR, "select[name=feature] option[value=support]").click()
    WebDriverWait(browser, 5).until(lambda b: len(b.find_elements(By.CSS_SELECTOR, rows)) == 10)
    assert "feature=support" in browser.current_url
    browser.find_element(By.CSS_SELECTOR, "#found tbody a").click()
    WebDriverWait(browser, 5).until(lambda b: "/traces/" in b.current_url)


def test_pages_are_reached_and_used_by_keyboard(browser, address: str) -> None:
    look(browser, width=1280, dark=False)
    browser.get(f"{address}/")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "main"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.execute_script(outline) == "solid"


def test_a_complaint_becomes_a_case_with_a_few_keys(browser, fresh: Callable[..., Site]) -> None:
    own = fresh()
    look(browser, width=1280, dark=False)
    with ExitStack() as stack:
        address = stack.enter_context(listening(own, free_port()))
        browser.get(f"{address}/traces/{trace_id(4)}")
        browser.find_element(By.XPATH, "//button[text()='Make this a case']").click()
        wait = WebDriverWait(browser, 5)
        wait.until(lambda b: "/inbox/" in b.current_url)
        browser.find_element(By.CSS_SELECTOR, "form .correct summary").click()
        browser.find_element(By.NAME, "correction").send_keys("It arrives on Friday.")
        browser.find_element(By.CSS_SELECTOR, "select[name=consent] option[value=given]").click()
        browser.find_element(By.NAME, "reviewer").send_keys("ada" + Keys.TAB)
        browser.find_element(By.CSS_SELECTOR, "[data-key='2']").send_keys("2")
        wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".note.ok"))
        assert "must.jsonl" in browser.find_element(By.CSS_SELECTOR, ".note.ok").text
        assert "It arrives on Friday." in (own.settings.root / "must.jsonl").read_text()
        assert trace_id(4) in (own.settings.root / "must.jsonl").read_text()
        # the next complaint is there already, with the name that was given
        assert browser.find_element(By.NAME, "reviewer").get_attribute("value") == "ada"
        waiting = len(own.records.reviews.list().data)
        browser.find_element(By.TAG_NAME, "body").send_keys("1")
        wait.until(lambda b: len(own.records.reviews.list().data) == waiting - 1)


def test_a_case_of_a_run_is_judged_with_one_key(browser, fresh: Callable[..., Site]) -> None:
    own = fresh()
    run = own.records.runs.list(limit=1)[0].id
    with listening(own, free_port()) as address:
        browser.get(f"{address}/runs/{run}")
        browser.find_element(By.CSS_SELECTOR, ".case summary").send_keys("3")
        wait = WebDriverWait(browser, 5)
        wait.until(lambda b: own.records.reviews.list("resolved", kind="disagreement").data)
        wait.until(lambda b: "said: case wrong" in b.find_element(By.TAG_NAME, "main").text)


def test_a_feature_is_called_and_a_trace_replayed(browser, address: str) -> None:
    look(browser, width=1280, dark=False)
    browser.get(f"{address}/traces/{trace_id(71)}")
    browser.find_element(By.LINK_TEXT, "Replay with another variant").click()
    WebDriverWait(browser, 5).until(lambda b: "/playground" in b.current_url)
    field = browser.find_element(By.NAME, "input")
    assert HOSTILE[:20] in field.get_attribute("value")
    field.clear()
    field.send_keys("hello")
    browser.find_element(By.XPATH, "//button[text()='Call it']").click()
    # between finding an element and reading it the next page may have come
    wait = WebDriverWait(browser, 10, ignored_exceptions=[StaleElementReferenceException])
    wait.until(lambda b: "Answer of good" in b.find_element(By.TAG_NAME, "main").text)
