"""Features over HTTP: listed, described, called with plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from shiftright.core.spec import Spec
from shiftright.errors import Error
from shiftright.gateway.access import Access, Caller
from shiftright.gateway.calls import Calls
from shiftright.gateway.fallbacks import Escalation, Fallbacks
from shiftright.gateway.refusal import Refusal, malformed
from shiftright.gateway.routing import Route, Router
from shiftright.gateway.shadows import Shadows
from shiftright.gateway.spans import Record


async def describe(path: str, scope: Any, router: Router, calls: Calls) -> dict[str, Any]:
    """What a GET tells: all models, all features, or one feature with its schemas.

    Raises:
        Refusal: 404.
    """
    if path == "/v1/models":
        return {"object": "list", "data": [_model(name) for name in _names(router)]}
    if path.startswith("/v1/models/"):
        name = unquote(path.removeprefix("/v1/models/"))
        router.route(name)
        return _model(name)
    name = unquote(path.removeprefix("/v1/features").strip("/"))
    if name:
        spec, variant = router.feature(name, _variant(scope))
        try:
            return await calls.describe(spec, variant)
        except Error as error:
            raise Refusal(500, error.code, f"{name} cannot be loaded: {error}") from error
    return {
        "data": [
            {"feature": spec.feature, "purpose": spec.purpose, "variants": list(spec.variants)}
            for spec in router.features.values()
        ]
    }


async def call(
    path: str,
    scope: Any,
    data: bytes,
    router: Router,
    access: Access,
    caller: Caller,
    fallbacks: Fallbacks,
    shadows: Shadows,
    proto: Any,
    record: Record,
) -> None:
    """``POST /v1/features/NAME[?variant=]``: the feature's input as JSON there, its output as JSON back.

    Raises:
        Refusal: before anything was sent.
    """
    name = unquote(path.removeprefix("/v1/features/"))
    named = _variant(scope)
    spec, variant = router.feature(name, named)
    # known by now: what anybody may write into a path must not become the name of a feature, or of a budget
    record.feature, record.variant = spec.feature, variant.name
    access.allow(caller, spec.feature)
    route = None if named else shadows.rollouts.serve(spec.feature, record)
    if route is not None and route.spec is not None and route.variant is not None:
        spec, variant = route.spec, route.variant
    if access.limited(caller, spec.feature):
        prices = (route or router.route(f"{spec.feature}@{variant.name}")).prices
        held = max(price.expected(len(data), None) or 0.0 for price in prices)
        access.hold(caller, spec.feature, held)
        record.held_usd = held
    try:
        value = msgspec.json.decode(data)
        record.input = data.decode("utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise malformed(f"the body cannot be read: {cause}") from None

    async def again(other: Route, proto: Any, copy: Record) -> None:
        assert other.spec is not None  # a release is a feature's
        assert other.variant is not None
        await fallbacks.ask(other.spec, other.variant, value, copy)

    shadows.offer(record, again)
    answer = await fallbacks.ask(spec, variant, value, record)
    if isinstance(answer, Escalation):
        escalated(answer, {"trace_id": record.ids.trace_id}, proto, record)
        return
    document = {
        "output": answer.output,
        "trace_id": record.ids.trace_id,
        "variant": variant.name,
        "cost_usd": answer.cost_usd,
    }
    if record.rung:
        document["rung"] = record.rung
    headers = [("content-type", "application/json"), *record.ids.headers]
    proto.response_bytes(200, headers, msgspec.json.encode(document))


def escalated(found: Escalation, beside: dict[str, Any], proto: Any, record: Record) -> None:
    """A person was asked: not yet an answer, but where it will be."""
    record.status = 202
    document = {"status": "escalated", "review": found.review, "poll": found.poll, "due_at": found.due_at}
    headers = [("content-type", "application/json"), ("location", found.poll), *record.ids.headers]
    proto.response_bytes(202, headers, msgspec.json.encode(document | beside))


def budgets(features: Mapping[str, Spec]) -> dict[str, float]:
    """USD a month by feature: the smallest ``month_at_most`` of its checks."""
    found: dict[str, float] = {}
    for name, spec in features.items():
        limits = [check.month_at_most_usd for check in spec.checks if check.month_at_most_usd is not None]
        if limits:
            found[name] = min(limits)
    return found


def _names(router: Router) -> list[str]:
    names = []
    for name, spec in sorted(router.features.items()):
        names += [name, *(f"{name}@{variant}" for variant in spec.variants)]
    return names


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "shiftright"}


def _variant(scope: Any) -> str | None:
    return next(iter(parse_qs(scope.query_string).get("variant", ())), None)
