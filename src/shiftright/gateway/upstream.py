"""Requests to providers: their clients and circuits, retries before the first byte, and the chain of fallbacks.

Whole answers that take long, and streams, come through aiohttp; quick whole answers through pyreqwest, which costs
least, but goes on waiting for an answer whose request was cancelled, and either fills a buffer before it hands over the
first words of a stream, or wakes the event loop for every single chunk.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec

from shiftright.gateway.circuit import Circuit
from shiftright.gateway.configuration import Provider
from shiftright.gateway.refusal import Headers, Refusal

if TYPE_CHECKING:
    import aiohttp
    from pyreqwest.client import Client

_log = logging.getLogger("shiftright.gateway")
_ATTEMPTS = 3
_CONNECT_S = 10.0
_QUICK_S = 0.25
_PIECE_BYTES = 2**20
_LONGEST_PAUSE_S = 20.0
_FIRST_PAUSE_S = 0.25
# About the moment, not about the request; 529 is Anthropic's "overloaded".
WORTH_RETRYING = frozenset({408, 429, 500, 502, 503, 504, 529})
THEIR_FAULT = frozenset({500, 502, 503, 504, 529})
# What concerns the connection, or says in the name of this server what only it may say: its traces, cookies and CORS,
# and what browsers are to remember of it.
_NOT_PASSED_BACK = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "date",
        "x-trace-id",
        "x-feedback-token",
        "set-cookie",
        "clear-site-data",
        "strict-transport-security",
        "alt-svc",
    }
)


class Request(msgspec.Struct, frozen=True):
    """One attempt's worth: where, and with what."""

    provider: Provider
    model: str
    path: str
    body: bytes
    headers: Headers


class Reply:
    """A provider's answer whose status and headers are there. ``body`` is whole unless it streams."""

    __slots__ = ("_stream", "attempts", "body", "circuit", "headers", "request", "status")

    def __init__(
        self,
        request: Request,
        status: int,
        headers: Headers,
        body: bytes,
        stream: aiohttp.ClientResponse | None = None,
    ) -> None:
        self.request = request
        self.status = status
        self.headers = headers
        self.body = body
        self.attempts = 1
        self._stream = stream
        self.circuit: Circuit | None = None

    @property
    def streams(self) -> bool:
        return self._stream is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        """What has come, as it came, whenever there is something.

        Raises:
            Refusal: the provider broke off or fell silent.
        """
        import aiohttp

        assert self._stream is not None
        try:
            async for chunk in self._stream.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _broken(error, self.request.provider) from error

    def judge(self, whole: bool) -> None:
        """Tell the provider's circuit whether a stream was whole; nothing is told where its client went."""
        if self.circuit is not None:
            (self.circuit.worked if whole else self.circuit.failed)()

    def close(self) -> None:
        """End the connection of a stream that is not at its end: the provider stops working for nobody."""
        if self._stream is not None:
            self._stream.close()


class Upstreams:
    """The providers' clients. ``close`` ends their connections."""

    def __init__(self) -> None:
        self._clients: dict[Provider, Client] = {}
        self._streaming: aiohttp.ClientSession | None = None
        self._circuits: dict[str, Circuit] = {}
        self._quick: dict[tuple[str, str], bool] = {}
        """By base URL and path: did the last whole answer come before anybody looks whether its client went?"""

    def circuit(self, place: str) -> Circuit:
        """One for each address, however it is asked."""
        return self._circuits.setdefault(place, Circuit())

    async def ask(self, requests: Sequence[Request], *, stream: bool) -> Reply:
        """The answer of the first request that gets one worth having; the last one's answer else.

        An answer that says the request itself is wrong ends the chain: the next provider would be told the same.

        Raises:
            Refusal: none could be reached.
        """
        refusal: Refusal | None = None
        attempts = 0
        for position, request in enumerate(requests):
            last = position + 1 == len(requests)
            circuit = self.circuit(request.provider.base_url)
            if (wait_s := circuit.wait_s()) > 0:
                refusal = left_alone(request.provider.name, wait_s)
                continue
            try:
                reply = await self._persist(request, circuit, stream=stream, patient=last)
            except Refusal as error:
                refusal = error
                attempts += 1
                continue
            attempts += reply.attempts
            if last or reply.status not in WORTH_RETRYING:
                reply.attempts = attempts
                return reply
            reply.close()
            _log.warning(
                "%s answered %d; %s is asked",
                request.provider.name,
                reply.status,
                requests[position + 1].model,
            )
        assert refusal is not None
        raise refusal

    async def _persist(self, request: Request, circuit: Circuit, *, stream: bool, patient: bool) -> Reply:
        """One provider, as often as it is worth it; where a fallback waits, a long pause is not waited for."""
        for attempt in range(1, _ATTEMPTS + 1):
            pause = _FIRST_PAUSE_S * 2 ** (attempt - 1)
            try:
                reply = await self._send(request, stream=stream)
            except Refusal as error:
                circuit.failed()
                if attempt == _ATTEMPTS or error.status == 504 or circuit.wait_s() > 0:
                    raise
                await asyncio.sleep(pause)
                continue
            except BaseException:
                circuit.gave_up()
                raise
            reply.attempts = attempt
            if reply.status in THEIR_FAULT:
                circuit.failed()
            elif reply.streams:
                # it may still break off: its end tells (Reply.judge); others may be asked meanwhile
                circuit.gave_up()
                reply.circuit = circuit
            else:
                circuit.worked()
            if reply.status not in WORTH_RETRYING or attempt == _ATTEMPTS:
                return reply
            pause = _retry_after(reply.headers, pause)
            if pause > (_LONGEST_PAUSE_S if patient else 1.0):
                return reply
            reply.close()
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _send(self, request: Request, *, stream: bool) -> Reply:
        if stream:
            return await self._open(request)
        place = request.provider.base_url, request.path
        began = time.monotonic()
        try:
            return await (self._take(request) if self._quick.get(place) else self._open(request))
        finally:
            self._quick[place] = time.monotonic() - began < _QUICK_S

    async def _take(self, request: Request) -> Reply:
        """A whole answer, quickly; cancelling it leaves the provider at work."""
        from pyreqwest.exceptions import PyreqwestError

        provider = request.provider
        client = self._clients.get(provider)
        if client is None:
            client = self._clients[provider] = _client(provider)
        try:
            building = client.post(provider.base_url + request.path).headers(request.headers)
            answer = await building.body_bytes(request.body).build().send()
            return Reply(request, answer.status, _passed(answer.headers), bytes(await answer.bytes()))
        except PyreqwestError as error:
            raise _broken(error, provider) from error

    async def _open(self, request: Request) -> Reply:
        """An answer that may stream; an error, or what turns out to be no stream, is read whole."""
        import aiohttp

        if self._streaming is None:
            self._streaming = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept", "accept-encoding", "user-agent"),
                trust_env=True,
            )
        provider = request.provider
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=provider.timeout_s)
        try:
            answer = await self._streaming.post(
                provider.base_url + request.path,
                # in pieces where it is large: sent at once it would hold up everybody else
                data=request.body if len(request.body) <= _PIECE_BYTES else BytesIO(request.body),
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
            )
            headers = _passed(answer.headers)
            if answer.status < 400 and "event-stream" in answer.headers.get("content-type", ""):
                return Reply(request, answer.status, headers, b"", answer)
            async with answer:
                return Reply(request, answer.status, headers, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _broken(error, provider) from error

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
        if self._streaming is not None:
            await self._streaming.close()


def _client(provider: Provider) -> Client:
    from pyreqwest.client import ClientBuilder

    # The answer's bytes pass untouched: nothing is decompressed, followed or added.
    return (
        ClientBuilder()
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .follow_redirects(False)
        .referer(False)
        .http1_lower_case_headers()
        .connect_timeout(timedelta(seconds=_CONNECT_S))
        .read_timeout(timedelta(seconds=provider.timeout_s))
        .build()
    )


def _passed(headers: Mapping[str, str]) -> Headers:
    return [
        (low, value)
        for name, value in headers.items()
        if (low := name.lower()) not in _NOT_PASSED_BACK and not low.startswith("access-control-")
    ]


def _retry_after(headers: Headers, otherwise: float) -> float:
    said = dict(headers)
    try:
        if "retry-after-ms" in said:
            pause = float(said["retry-after-ms"]) / 1000
        else:
            pause = float(said["retry-after"]) if "retry-after" in said else otherwise
    except ValueError:
        return otherwise  # a date, which nobody in this field sends
    return pause if math.isfinite(pause) and pause >= 0 else otherwise


def left_alone(provider: str, wait_s: float) -> Refusal:
    return Refusal(
        503,
        "provider_down",
        f"{provider} failed again and again and is left alone",
        retry_after_s=wait_s,
    )


def _broken(error: Any, provider: Provider) -> Refusal:
    causes = (getattr(error, "details", None) or {}).get("causes") or []
    said = causes[-1]["message"] if causes else str(error)
    if isinstance(error, TimeoutError):
        return Refusal(504, "provider_timeout", f"{provider.name} gave no answer in time ({said[:200]})")
    return Refusal(502, "provider_unreachable", f"the connection to {provider.name} failed ({said[:200]})")
