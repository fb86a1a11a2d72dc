"""What a limit in USD holds against, before it is known what an answer costs."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.servers import Play, Provider, Site, chunks, whole
from tests.gateway.test_faults import charged
from tests.gateway.test_translating import OPENAI as ANSWER

from shiftright.store.keys import Limits

ASK = {"model": "openai:gpt-5", "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]}
"""May cost 0.01 USD, and costs a thousandth of that."""
SPEC = """\
feature: shout
{run}cases: cases.jsonl
variants: {{loud: {{model: 'openai:gpt-5', base_url: 'URL', api_key_env: OPENAI_API_KEY,
                  price: {{input: 0 USD/M, output: 20 USD/M}}}}}}
baseline: loud
checks: {{cost: {{month_at_most: 0.02 USD}}}}
"""
CODE = """\
from shiftright import Context

async def shout(text: str, ctx: Context) -> str:
    return await ctx.ask(text)
"""


def waits_for(event: threading.Event) -> Play:
    answer = whole(ANSWER, extra="connection: close\r\n")

    async def play(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not event.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.005)
        await answer(got, reader, writer)

    return play


def all_at_once(
    site: Site, provider: Provider, path: str, body: Any, headers: dict[str, str]
) -> Counter[Any]:
    """Codes of ten requests of which none is answered before the last is refused."""
    refused: list[int] = []
    answered = threading.Event()
    provider.plays = [waits_for(answered)]

    def one(_: int) -> Any:
        got = httpx.post(site.url + path, json=body, headers=headers, timeout=30)
        if got.status_code == 429:
            assert "x-should-retry" not in got.headers
            refused.append(1)
            if len(refused) == 8:
                answered.set()
            return got.json()["error"]["code"]
        return got.status_code

    with ThreadPoolExecutor(11) as pool:
        timer = threading.Timer(5, answered.set)
        timer.start()
        codes = Counter(pool.map(one, range(10)))
        timer.cancel()
    return codes


def test_a_keys_budget_holds_for_requests_under_way(start: Callable[..., Site], provider: Provider) -> None:
    site = start(key="owner")
    _, secret = site.records.keys.create("shop", Limits(month_at_most_usd=0.0199))
    site.run(site.access.exchange())
    headers = {"x-api-key": secret}
    codes = all_at_once(site, provider, "/v1/chat/completions", ASK, headers)
    assert codes == {200: 2, "budget_held": 8}
    after = httpx.post(site.url + "/v1/chat/completions", json=ASK, headers=headers)
    assert after.status_code == 200


@pytest.mark.parametrize(
    ("path", "run"),
    [
        ("/v1/chat/completions", ""),
        ("/v1/chat/completions", "run: shout:shout\n"),
        ("/v1/features/shout", "run: shout:shout\n"),
    ],
)
def test_a_features_budget_holds_for_requests_under_way(
    start: Callable[..., Site], provider: Provider, monkeypatch: pytest.MonkeyPatch, path: str, run: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")

    def prepare(root: Path) -> None:
        (root / "spec.yaml").write_text(SPEC.format(run=run).replace("URL", provider.url), encoding="utf-8")
        (root / "shout.py").write_text(CODE, encoding="utf-8")
        (root / "cases.jsonl").write_text('{"input": "a", "expected": "A"}\n', encoding="utf-8")

    site = start(prepare=prepare)
    ask = ASK | {"model": "shout", "max_tokens": 500}
    body = "hi" if path == "/v1/features/shout" else ask
    assert all_at_once(site, provider, path, body, {}) == {200: 2, "budget_held": 8}
    assert httpx.post(site.url + path, json=body, timeout=10).status_code == 200
    assert not site.access._held


def test_what_is_being_saved_counts(start: Callable[..., Site], provider: Provider) -> None:
    site = start()
    site.access.spend(site.access.caller(None), "", 1.0)
    saved = site.access._exchanged
    counted: list[float] = []

    def watch(unsaved: Any) -> Any:
        counted.append(site.access.spent("key:"))
        return saved(unsaved)

    site.access._exchanged = watch  # type: ignore[method-assign]
    site.run(site.access.exchange())
    assert counted == [1.0]
    assert site.access.spent("key:") == 1.0


def test_what_is_not_told_is_guessed_from_all_that_was_sent(
    start: Callable[..., Site], provider: Provider
) -> None:
    site = start()
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 40_000}}]
    provider.plays = [whole(b'{"model":"gpt-5","choices":[{"message":{"reasoning":"%b"}}]}' % (b"r" * 4_000))]
    httpx.post(site.url + "/v1/chat/completions", json=ASK | {"tools": tools}).raise_for_status()
    told = charged(site, above=0)
    assert told == pytest.approx((10_000 * 1.25 + 1000 * 10) / 1e6, rel=0.03)
    event = b'data: {"model":"gpt-5","choices":[{"index":%d,"delta":{"content":"a"}}]}\n\n'
    provider.plays = [chunks(*(event % (number % 3) for number in range(300)))]
    httpx.post(site.url + "/v1/chat/completions", json=ASK | {"n": 3, "stream": True}).raise_for_status()
    assert charged(site, above=told) - told == pytest.approx(300 * 10 / 1e6, rel=0.03)


def test_what_a_client_left_is_guessed_from_all_that_was_sent(
    start: Callable[..., Site], provider: Provider
) -> None:
    site = start()
    provider.plays = [waits_for(threading.Event())]
    ask = {"model": "openai:gpt-5", "n": 3, "max_completion_tokens": 2000, "instructions": "i" * 40_000}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(site.url + "/v1/responses", json=ask, timeout=0.4)
    assert charged(site, above=0) == pytest.approx((10_000 * 1.25 + 6000 * 10) / 1e6, rel=0.01)
