"""A request passed through to a provider: its bytes there, the answer's bytes back, and what is learnt on the way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from shiftright.core.answer import Usage
from shiftright.core.trace import Operation
from shiftright.gateway import answers, body
from shiftright.gateway.configuration import Provider
from shiftright.gateway.kept import KeptAnswers
from shiftright.gateway.refusal import Dialect, Headers, Refusal
from shiftright.gateway.routing import Route, Target
from shiftright.gateway.spans import Record
from shiftright.gateway.upstream import WORTH_RETRYING, Reply, Request, Upstreams

_log = logging.getLogger("shiftright.gateway")
_KEPT_BYTES = 4_000_000
_CACHE = "x-shiftright-cache"
# What concerns the way to us, what opens this server, and what would make the answer's bytes others than asked for.
_NOT_PASSED_ON = frozenset(
    {
        "host", "connection", "keep-alive", "content-length", "transfer-encoding", "te", "trailer", "upgrade",
        "expect", "proxy-authorization", "proxy-connection", "authorization", "x-api-key", "cookie",
        "accept-encoding", "traceparent", "content-type", "origin", "referer", "forwarded", "x-forwarded-for",
        "x-forwarded-host", "x-forwarded-proto", "x-real-ip", _CACHE,
    }
)  # fmt: skip
# What says who asks and which request it is, and changes no answer. Any other header may.
_OF_NO_ACCOUNT = frozenset(
    {
        "traceparent", "tracestate", "baggage", "b3", "user-agent", "x-request-id", "x-correlation-id", "x-session-id",
        "idempotency-key", "accept", "accept-language", "dnt", "priority", "via", "cache-control", "pragma",
    }
)  # fmt: skip
_NEVER_OF_ACCOUNT = ("x-stainless-", "x-b3-", "sec-")


class Endpoint(NamedTuple):
    """A path of ours: whose protocol it speaks, and where providers have it."""

    dialect: Dialect
    operation: Operation
    path: str


class Passing:
    """Passes requests to providers that speak the caller's protocol."""

    def __init__(self, upstreams: Upstreams, cache_s: float) -> None:
        self._upstreams = upstreams
        self._cache_s = cache_s
        self._kept = KeptAnswers()

    async def answer(
        self,
        endpoint: Endpoint,
        route: Route,
        data: bytes,
        asked: body.Asked,
        given: Mapping[str, str],
        open_to_all: bool,
        proto: Any,
        record: Record,
    ) -> None:
        """Answer on ``proto`` and complete ``record``.

        Args:
            given: the caller's headers, names in lower case.
            open_to_all: nobody needs a key here, so the caller's own may be meant for the provider.

        Raises:
            Refusal: before anything was sent.
        """
        if route.parameters:
            data = body.with_parameters(data, asked, route.parameters)
        requests = [_request(endpoint, each, data, given, open_to_all, record) for each in route.targets]
        cache_s = _cache_s(given, self._cache_s)
        name = b""
        if cache_s > 0:
            first = requests[0]
            name = _name(first, record)
            if self._answered_before(name, first, asked, proto, record):
                return
        reply = await self._reply(requests, route, asked, record)
        target = route.targets[requests.index(reply.request)]
        _fall_back(reply, route, target, record)
        record.provider, record.attempts = reply.request.provider.name, reply.attempts
        record.status = reply.status
        if reply.streams:
            sent: list[bytes] = []
            complete = False
            try:
                complete = await _stream(reply, proto, record, endpoint.dialect, sent)
            finally:
                # also what a client left in the middle of has been paid for
                read = _note(record, target, lambda: answers.read_stream(sent))
            _judge(reply, record, read)
            name = name if complete else b""
            whole = b"".join(sent)
        else:
            whole = reply.body
            record.sent_bytes = len(whole)
            proto.response_bytes(reply.status, _answered(reply.headers, record), whole)
            if reply.status >= 400:
                record.error = f"{reply.status}: {_said(whole)}"
                record.model = target.model
            elif endpoint.operation == "other":
                return
            else:
                _note(record, target, lambda: answers.read_whole(whole))
        if name and reply.status == 200 and record.error is None:
            self._kept.put(name, reply.headers, whole, cache_s)

    async def _reply(
        self, requests: Sequence[Request], route: Route, asked: body.Asked, record: Record
    ) -> Reply:
        try:
            return await self._upstreams.ask(requests, stream=bool(asked.stream))
        except asyncio.CancelledError:
            # nobody waits for the answer any more, but its provider is paid all the same
            record.charged_usd = asked.expected_usd(route.targets[0].price, record.asked_bytes) or 0.0
            raise

    def _answered_before(
        self, name: bytes, request: Request, asked: body.Asked, proto: Any, record: Record
    ) -> bool:
        kept = self._kept.get(name)
        if kept is None:
            return False
        proto.response_bytes(200, _answered(kept.headers, record), kept.body)
        _note(
            record,
            None,
            lambda: answers.read_stream((kept.body,)) if asked.stream else answers.read_whole(kept.body),
        )
        record.cached, record.provider = True, request.provider.name
        record.model = record.model or request.model
        return True


def _fall_back(reply: Reply, route: Route, target: Target, record: Record) -> None:
    """Which rung of the contract's fallback this is.

    Raises:
        Refusal: all models failed: what the contract names below them is asked before this is anybody's answer.
    """
    if route.spec is None or not route.spec.ship.fallback or record.shadow_of:
        return
    if reply.status in WORTH_RETRYING:
        reply.close()
        raise Refusal(reply.status, "provider", f"{target.name} answered {reply.status}")
    if target is not route.targets[0] and target.name in route.spec.ship.fallback:
        record.rung = target.name


def _name(request: Request, record: Record) -> bytes:
    """Of an answer that may be kept: who asks, where, with which key, what, and every header that may change it."""
    said = sorted(
        f"{name}:{value}"
        for name, value in request.headers
        if name not in _OF_NO_ACCOUNT and not name.startswith(_NEVER_OF_ACCOUNT)
    )
    return KeptAnswers.name(
        record.key.encode(),
        request.provider.base_url.encode(),
        request.path.encode(),
        "\n".join(said).encode("utf-8", "surrogateescape"),
        request.body,
    )


def _request(
    endpoint: Endpoint,
    target: Target,
    data: bytes,
    given: Mapping[str, str],
    open_to_all: bool,
    record: Record,
) -> Request:
    provider = target.provider
    assert provider is not None
    headers: Headers = [(name, value) for name, value in given.items() if name not in _NOT_PASSED_ON]
    headers.append(("content-type", "application/json"))
    # an answer is read as it passes
    headers.append(("accept-encoding", "identity"))
    headers.append(("traceparent", record.ids.traceparent))
    headers += credentials(provider, given if open_to_all else {})
    if provider.dialect == "anthropic" and "anthropic-version" not in given:
        headers.append(("anthropic-version", "2023-06-01"))
    return Request(provider, target.model, endpoint.path, body.with_model(data, target.model), headers)


def credentials(provider: Provider, given: Mapping[str, str]) -> Headers:
    """The provider's key; where none is set, the caller's own."""
    if provider.api_key is None:
        return [(name, given[name]) for name in ("authorization", "x-api-key") if name in given]
    if provider.dialect == "anthropic":
        return [("x-api-key", provider.api_key)]
    return [("authorization", f"Bearer {provider.api_key}")]


async def _stream(reply: Reply, proto: Any, record: Record, dialect: Dialect, sent: list[bytes]) -> bool:
    """Every chunk as it came. ``sent`` keeps them, of a very long answer its beginning and end; says whether all."""
    size = 0
    complete = True
    last = b"\n\n"
    transport = proto.response_stream(reply.status, _answered(reply.headers, record))
    try:
        async for chunk in reply.chunks():
            if not record.first_byte_ns:
                record.first_byte_ns = time.time_ns()
            await transport.send_bytes(chunk)
            last = chunk
            size += len(chunk)
            record.sent_bytes += len(chunk)
            sent.append(chunk)
            if size > _KEPT_BYTES:
                # the beginning says who answers, the end what it took
                complete = False
                sent[1:-8] = []
                size = sum(map(len, sent))
    except Refusal as broken:
        record.error, record.status = broken.message, broken.status
        gap = b"" if last.endswith(b"\n\n") else b"\n\n"
        await transport.send_bytes(gap + broken.event(dialect, record.ids.trace_id))
        complete = False
    finally:
        reply.close()
    return complete


def _judge(reply: Reply, record: Record, read: answers.Read) -> None:
    """Was a stream whole whose client stayed? One in which the provider names an error says nothing of its health."""
    if read.error is None:
        reply.judge(read.ended)
        if record.error is None and not read.ended:
            record.error, record.status = "the provider's stream ended before its end mark", 502


def _answered(headers: Headers, record: Record) -> Headers:
    return [*headers, *record.ids.headers]


def _note(record: Record, target: Target | None, read: Callable[[], answers.Read]) -> answers.Read:
    """What is learnt of an answer that has gone out, and paid for where there is a ``target``.

    Whatever fails here fails no request: it has its answer.
    """
    found = answers.Read()
    try:
        found = read()
        _learn(record, found)
        if target is not None and not found.answered:
            record.model = target.model
        elif target is not None:
            charge(record, target, found.guessed_tokens(record.sent_bytes))
    except Exception:  # noqa: BLE001 - the answer is out; a second one cannot follow
        _log.exception("what an answer took cannot be told")
        record.error = record.error or "what the answer took cannot be told"
        record.cost_usd = None
    return found


def _learn(record: Record, read: answers.Read) -> None:
    usage = read.usage
    record.model = read.model
    record.output = read.output
    record.response_id = read.response_id
    record.finish_reason = read.finish_reason
    record.error = record.error or read.error
    record.usage = usage


def charge(record: Record, target: Target, guessed_tokens: int) -> None:
    """What an answer cost by list or contract; None where the provider did not say what it took: then budgets count a
    guess, of everything that was sent there."""
    record.model = record.model or target.model
    seconds = (time.time_ns() - record.start_ns) / 1e9
    record.cost_usd = target.price.cost(record.usage, seconds)
    if record.cost_usd is None:
        guessed = Usage(answers.tokens_in(record.asked_bytes), guessed_tokens)
        record.charged_usd = target.price.cost(guessed, seconds) or 0.0
    else:
        record.charged_usd = record.cost_usd


def _cache_s(given: Mapping[str, str], otherwise: float) -> float:
    said = given.get(_CACHE)
    if said is None:
        return otherwise
    if not said.isdecimal():
        raise Refusal(400, "invalid_request", f"{_CACHE} is a number of seconds (0: do not keep this answer)")
    return float(said)


def _said(data: bytes) -> str:
    return data[:500].decode("utf-8", "replace")
