"""The gateway: an RSGI application. What it does not know goes to the control plane."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from shiftright.core.loopback import hostname, is_loopback, same_origin
from shiftright.errors import Error
from shiftright.gateway import asgi, body, features, flags
from shiftright.gateway.access import Access, Caller
from shiftright.gateway.calls import Calls
from shiftright.gateway.escalations import answered
from shiftright.gateway.fallbacks import POLL, Fallbacks
from shiftright.gateway.passing import Endpoint, Passing
from shiftright.gateway.refusal import Refusal, malformed
from shiftright.gateway.rollouts import Rollouts
from shiftright.gateway.routing import LONGEST_NAME, Route, Router
from shiftright.gateway.shadows import Shadows
from shiftright.gateway.spans import Record, ids_of
from shiftright.gateway.upstream import Upstreams
from shiftright.store.intake import Intake
from shiftright.tracing.redaction import Redaction

_log = logging.getLogger("shiftright.gateway")
_WATCH_AFTER_S = 0.25
_LOOK_EVERY_S = 1.0
_STRANGERS_A_MINUTE = 60

_ENDPOINTS = {
    "/v1/chat/completions": Endpoint("openai", "chat", "/chat/completions"),
    "/v1/completions": Endpoint("openai", "chat", "/completions"),
    "/v1/responses": Endpoint("openai", "chat", "/responses"),
    "/v1/embeddings": Endpoint("openai", "embeddings", "/embeddings"),
    "/v1/messages": Endpoint("anthropic", "chat", "/v1/messages"),
    "/v1/messages/count_tokens": Endpoint("anthropic", "other", "/v1/messages/count_tokens"),
}
_TRANSLATED = ("/chat/completions", "/v1/messages")


class _Waiting:
    """A request under way; ``watch`` waits for its client to go."""

    __slots__ = ("proto", "since", "task", "watch")

    def __init__(self, task: asyncio.Task[Any] | None, proto: Any) -> None:
        self.task = task
        self.proto = proto
        self.since = time.monotonic()
        self.watch: asyncio.Task[None] | None = None


class Gateway:
    """One process's data plane. ``start`` before the first request, ``close`` after the last.

    Args:
        control: makes the ASGI application for every other path, on a thread: its libraries take most of a second,
            for which a user's first request need not wait.
        feedback_key: signs what lets a browser give feedback on an answer (improve.tokens.secret).
        redaction: of what a person is shown (default: secrets alone).
    """

    def __init__(
        self,
        router: Router,
        access: Access,
        rollouts: Rollouts,
        intake: Intake,
        control: Callable[[], asgi.Application],
        feedback_key: bytes,
        redaction: Redaction | None = None,
    ) -> None:
        self.router = router
        self.access = access
        self.rollouts = rollouts
        self.intake = intake
        self.active = 0
        self._control = control
        self._feedback_key = feedback_key
        self._controlling: asyncio.Task[asgi.Lifespan | None] | None = None
        self._upstreams = Upstreams()
        self._passing = Passing(self._upstreams, router.configuration.cache_s)
        self._calls = Calls(_LOOK_EVERY_S)
        self._fallbacks = Fallbacks(router, self._calls, access.records, redaction or Redaction())
        self._shadows = Shadows(rollouts, access, intake, feedback_key)
        self._waiting: set[_Waiting] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._strangers = 0
        self._strangers_since = time.monotonic()
        intake.listen(rollouts.listen)

    async def start(self) -> None:
        await asyncio.to_thread(self.router.refresh)
        self.access.limit_features(features.budgets(self.router.features))
        await asyncio.to_thread(self.rollouts.exchange)
        self._tasks = [
            asyncio.create_task(self.access.keep_current()),
            asyncio.create_task(self.rollouts.keep_current()),
            asyncio.create_task(self._follow_contracts()),
            asyncio.create_task(self._watch_clients()),
        ]
        self._controlling = asyncio.create_task(self._start_control())

    async def close(self) -> None:
        """Save what was spent and end what is open; requests under way are to be over."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._shadows.close()
        await self.access.exchange()
        await asyncio.to_thread(self.rollouts.exchange)
        if self._controlling is not None and (lifespan := await self._controlling) is not None:
            await lifespan.end()
        await self._calls.close()
        await self._upstreams.close()
        gc.unfreeze()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        path = scope.path
        if _names_two_hosts(scope):
            # what stands in front of this server may have looked at the other one
            refusal = malformed("the request names more than one host")
            proto.response_bytes(400, refusal.headers(), refusal.body("openai", ""))
            return
        endpoint = _ENDPOINTS.get(path)
        self.active += 1
        try:
            if endpoint is not None and scope.method == "POST":
                await self._answer(endpoint, scope, proto)
            elif path == "/v1/traces":
                await self._take_traces(scope, proto)
            elif path.startswith("/ofrep/"):
                await self._evaluate_flags(scope, proto)
            elif path == "/v1/models" or path.startswith(("/v1/models/", "/v1/features", POLL)):
                await self._answer(Endpoint("openai", "feature", path), scope, proto)
            else:
                assert self._controlling is not None
                lifespan = await asyncio.shield(self._controlling)
                if lifespan is None:
                    proto.response_str(
                        503, [("content-type", "text/plain")], "The pages could not be started.\n"
                    )
                else:
                    await asgi.serve(lifespan, scope, proto)
        finally:
            self.active -= 1

    async def _answer(self, endpoint: Endpoint, scope: Any, proto: Any) -> None:
        """Any request of the data plane: whatever comes of it, there is an answer and a root span."""
        given = dict(scope.headers.items())
        # the caller's own trace is continued once it is known who calls
        operation = endpoint.operation
        if operation == "feature" and not _calls_feature(endpoint.path, scope):
            operation = "other"
        record = Record(ids_of(None, self._feedback_key), time.time_ns(), endpoint.path, operation)
        waiting = _Waiting(asyncio.current_task(), proto)
        self._waiting.add(waiting)
        caller: Caller | None = None
        try:
            caller = self._caller(given, scope, record)
            if endpoint.operation == "feature":
                await self._list_or_call(endpoint.path, scope, proto, record, caller)
            else:
                await self._ask(endpoint, given, scope, proto, record, caller)
        except Refusal as refusal:
            _refuse(refusal, endpoint, proto, record)
        except asyncio.CancelledError:
            record.error, record.status = "the client went before the answer was complete", 499
        except Exception as error:  # noqa: BLE001 - the last place where it becomes an answer and a span
            if type(error).__name__ == "RSGIProtocolClosed":
                record.error, record.status = "the client went before the answer was complete", 499
            else:
                _log.exception("a request failed")
                failed = Refusal(500, "internal_error", f"the gateway failed ({type(error).__name__})")
                _refuse(failed, endpoint, proto, record)
        finally:
            self._waiting.discard(waiting)
            if waiting.watch is not None:
                waiting.watch.cancel()
            if (record.operation != "other" or record.error is not None) and (
                caller is not None or self._is_traced(record)
            ):
                self.intake.offer([record.row(), *record.children])
            if record.assigned is not None:
                self._shadows.end(record)
            if caller is not None:
                self.access.spend(caller, record.feature, record.charged_usd, record.held_usd)

    def _is_traced(self, record: Record) -> bool:
        """Does a request that was refused at once leave a trace? Who has no key must not fill the disk."""
        if record.key:
            return True
        now = time.monotonic()
        if now - self._strangers_since >= 60:
            self._strangers, self._strangers_since = 0, now
        self._strangers += 1
        if self._strangers > _STRANGERS_A_MINUTE:
            self.intake.untraced += 1
        return self._strangers <= _STRANGERS_A_MINUTE

    def _caller(self, given: Mapping[str, str], scope: Any, record: Record) -> Caller:
        authorization = given.get("authorization", "")
        secret = authorization[7:] if authorization[:7].lower() == "bearer " else given.get("x-api-key")
        if not self.access.needs_key:
            _refuse_strange_pages(given, given.get("host") or scope.authority or "")
        caller = self.access.caller(secret)
        if (parent := given.get("traceparent")) is not None:
            record.ids = ids_of(parent, self._feedback_key)
        record.key = caller.name
        # labels for traces: a long one is cut, and no reason to refuse an answer
        record.user = given.get("x-user-id", "")[:LONGEST_NAME]
        record.session = given.get("x-session-id", "")[:LONGEST_NAME]
        self.access.admit(caller)
        return caller

    async def _ask(
        self,
        endpoint: Endpoint,
        given: Mapping[str, str],
        scope: Any,
        proto: Any,
        record: Record,
        caller: Caller,
    ) -> None:
        data = await body.read(scope, proto)
        asked = body.decode(data)
        record.asked_bytes = len(data)
        record.asked, record.input, record.stream = asked.model, asked.prompt, bool(asked.stream)
        record.user = record.user or (asked.user or "")[:LONGEST_NAME]
        route = self.router.route(asked.model)
        record.feature, record.variant = route.feature, route.variant_name
        self.access.allow(caller, route.feature or asked.model)
        # a name with a variant in it is meant as it is
        if asked.model == route.feature:
            route = self.rollouts.serve(route.feature, record) or route
        if self.access.limited(caller, route.feature):
            _refuse_unpriced(route)
            held = max(asked.expected_usd(price, len(data)) or 0.0 for price in route.prices)
            self.access.hold(caller, route.feature, held)
            record.held_usd = held
        self._shadows.offer(
            record, lambda other, proto, copy: self._reply(endpoint, other, data, asked, given, proto, copy)
        )
        await self._reply(endpoint, route, data, asked, given, proto, record)

    async def _reply(
        self,
        endpoint: Endpoint,
        route: Route,
        data: bytes,
        asked: body.Asked,
        given: Mapping[str, str],
        proto: Any,
        record: Record,
    ) -> None:
        if route.targets and all(
            each.provider is not None and each.provider.dialect == endpoint.dialect for each in route.targets
        ):
            try:
                await self._passing.answer(
                    endpoint, route, data, asked, given, not self.access.needs_key, proto, record
                )
            except Refusal as refusal:
                if record.shadow_of or route.spec is None or not route.spec.ship.fallback:
                    raise
                await self._translated(endpoint, route, data, asked, proto, record, refusal)
            return
        if endpoint.path not in _TRANSLATED:
            raise Refusal(
                400,
                "not_supported",
                f"{asked.model!r} cannot be asked like this",
                hint="This path needs a model whose provider has it; use /v1/chat/completions or /v1/messages.",
            )
        await self._translated(endpoint, route, data, asked, proto, record)

    async def _translated(
        self,
        endpoint: Endpoint,
        route: Route,
        data: bytes,
        asked: body.Asked,
        proto: Any,
        record: Record,
        failed: Refusal | None = None,
    ) -> None:
        from shiftright.gateway import translation

        if failed is not None and endpoint.path not in _TRANSLATED:
            raise failed
        await translation.answer(
            endpoint.dialect,
            route,
            data,
            asked,
            self._calls,
            self._upstreams,
            self._fallbacks,
            proto,
            record,
            failed,
        )

    async def _list_or_call(self, path: str, scope: Any, proto: Any, record: Record, caller: Caller) -> None:
        if _calls_feature(path, scope):
            data = await body.read(scope, proto)
            await features.call(
                path,
                scope,
                data,
                self.router,
                self.access,
                caller,
                self._fallbacks,
                self._shadows,
                proto,
                record,
            )
            return
        if scope.method != "GET":
            raise Refusal(405, "method_not_allowed", f"{scope.method} is no method of {path}")
        if path.startswith(POLL):
            proto.response_bytes(*await asyncio.to_thread(answered, path, caller, self.access.records))
            return
        found = await features.describe(path, scope, self.router, self._calls)
        proto.response_bytes(
            200,
            [("content-type", "application/json"), *record.ids.headers],
            msgspec.json.encode(found),
        )

    async def _start_control(self) -> asgi.Lifespan | None:
        try:
            lifespan = asgi.Lifespan(await asyncio.to_thread(self._control))
            await lifespan.start()
        except Exception:  # noqa: BLE001 - told at once; what passes through goes on without pages
            _log.exception("API and pages could not be started")
            return None
        # All that is imported by now stays: looking through it for garbage would stop requests for 50 ms.
        gc.freeze()
        return lifespan

    async def _take_traces(self, scope: Any, proto: Any) -> None:
        from shiftright.gateway.ingest import ingest

        given = dict(scope.headers.items())
        endpoint = Endpoint("openai", "other", scope.path)
        record = Record(ids_of(None, self._feedback_key), time.time_ns(), endpoint.path, endpoint.operation)
        try:
            caller = self._caller(given, scope, record)
        except Refusal as refusal:
            _refuse(refusal, endpoint, proto, record)
            return
        await ingest(scope, proto, self.intake, caller.limits.features)

    async def _evaluate_flags(self, scope: Any, proto: Any) -> None:
        given = dict(scope.headers.items())
        record = Record(ids_of(None, self._feedback_key), time.time_ns(), scope.path, "other")
        try:
            caller = self._caller(given, scope, record)
            await flags.answer(scope, proto, self.router, self.rollouts, self.access, caller)
        except Refusal as refusal:
            flags.refuse(refusal, scope.path, proto)

    async def _watch_clients(self) -> None:
        """End the requests whose client has gone. Nearly every answer is there before it is worth a task, or only a
        timer, of its own."""
        while True:
            await asyncio.sleep(_WATCH_AFTER_S)
            latest = time.monotonic() - _WATCH_AFTER_S
            for each in self._waiting:
                if each.watch is None and each.since <= latest:
                    each.watch = asyncio.create_task(_watch(each.proto, each.task))

    async def _follow_contracts(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                changed = await asyncio.to_thread(self.router.refresh)
            except (OSError, Error) as error:
                _log.warning("contracts could not be read again: %s", error)
                continue
            if changed:
                self.access.limit_features(features.budgets(self.router.features))


def _refuse(refusal: Refusal, endpoint: Endpoint, proto: Any, record: Record) -> None:
    record.error, record.status = record.error or refusal.message, refusal.status
    trace_id = record.ids.trace_id
    ids = record.ids.headers
    if refusal.status in (401, 403):
        # who may not ask may not speak about a trace either, least of all one that it named itself
        ids = [header for header in ids if header[0] != "x-feedback-token"]
    headers = [*refusal.headers(), *ids]
    proto.response_bytes(refusal.status, headers, refusal.body(endpoint.dialect, trace_id))


def _refuse_unpriced(route: Route) -> None:
    for target in route.targets:
        if target.price.expected(1, None) is None:
            raise Refusal(
                403, "unknown_price", f"{target.name} has no known price, and what is spent here is limited in USD",
                hint="Ask it through a feature whose variant names its price, or remove the limit.",
                final=True,
            )  # fmt: skip


def _calls_feature(path: str, scope: Any) -> bool:
    return scope.method == "POST" and path.startswith("/v1/features/")


def _names_two_hosts(scope: Any) -> bool:
    hosts = scope.headers.get_all("host")
    if scope.authority is None or not hosts:
        return len(hosts) > 1
    return len(hosts) > 1 or hosts[0].lower() != scope.authority.lower()


def _refuse_strange_pages(given: Mapping[str, str], host: str) -> None:
    """Without keys a page in the user's browser could spend the user's money: it shows by its origin or its host."""
    ours = same_origin(given.get("sec-fetch-site"), given.get("origin"), host)
    if not ours or not is_loopback(hostname(host)):
        raise Refusal(
            403, "not_allowed", "a server without keys answers to this machine only",
            hint="Make a key: shiftright key create NAME",
        )  # fmt: skip


async def _watch(proto: Any, task: asyncio.Task[Any] | None) -> None:
    await proto.client_disconnect()
    if task is not None:
        task.cancel()
