"""Flags: which variant of a feature a unit gets, for programs that run the feature themselves.

Over HTTP in the OpenFeature remote evaluation protocol (OFREP 0.2, github.com/open-feature/protocol). A feature is two
flags, because the protocol does not say which type was asked for: ``NAME`` is the variant's name, ``NAME:release`` the
object ``{"variant", "release", "settings"}``. Nothing is recorded of an evaluation (docs/decisions/flags.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote

import msgspec

from shiftright.core.rollout import unit_id
from shiftright.gateway import body
from shiftright.gateway.access import Access, Caller
from shiftright.gateway.refusal import Refusal
from shiftright.gateway.rollouts import Rollouts
from shiftright.gateway.routing import Router
from shiftright.tracing import attributes as names

_ALL = "/ofrep/v1/evaluate/flags"
_OBJECT = ":release"
_CODES = frozenset({"PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND"})
_JSON = ("content-type", "application/json")


class Flag(msgspec.Struct, frozen=True, gc=False):
    """One evaluation, as the protocol writes it. ``metadata`` is what a span has to say for its outcome to count, by
    the attributes' own names."""

    key: str
    value: str | dict[str, Any]
    reason: str
    variant: str
    metadata: dict[str, str | float]


def evaluate(key: str, unit: str | None, router: Router, rollouts: Rollouts) -> Flag:
    """What a unit gets, from memory.

    Args:
        unit: the user, or the conversation where the contract's rollouts go by it.

    Raises:
        Refusal: there is no such flag, or no unit. One is asked for in quiet times too, so that its lack is found
            before the first canary.
    """
    feature = feature_of(key, router)
    if not unit:
        raise Refusal(
            400,
            "TARGETING_KEY_MISSING",
            "there is no targeting key",
            hint="It is the user's id, or the conversation's where the contract says ship.unit: conversation.",
        )
    served = rollouts.served(feature)
    if served is None:
        route, release, reason = router.route(feature), "", "DEFAULT"
    else:
        arm, route, release = served.given(unit)
        reason = "STATIC" if release else "DEFAULT"
    variant = route.variant_name
    metadata: dict[str, str | float] = {
        names.OPERATION: "feature",
        names.FEATURE: feature,
        names.VARIANT: variant,
    }
    if release:
        metadata[names.RELEASE] = release
    # in the shadow everybody is in the control, and only copies say something
    if served is not None and served.rollout is not None and served.share > 0.0:
        reason = "SPLIT"
        metadata[names.ROLLOUT], metadata[names.ARM] = served.rollout.id, arm
        metadata[names.PROBABILITY], metadata[names.UNIT] = served.share, unit_id(served.rollout.salt, unit)
    if key == feature:
        return Flag(key, variant, reason, variant, metadata)
    settings = {} if route.variant is None else route.variant.settings
    return Flag(
        key, {"variant": variant, "release": release, "settings": settings}, reason, variant, metadata
    )


def feature_of(key: str, router: Router) -> str:
    """The feature a flag is about.

    Raises:
        Refusal: there is no such flag.
    """
    feature = key.removesuffix(_OBJECT)
    if feature not in router.features:
        raise Refusal(404, "FLAG_NOT_FOUND", f"there is no flag {key[:200]!r}: no contract has this feature")
    return feature


async def answer(
    scope: Any, proto: Any, router: Router, rollouts: Rollouts, access: Access, caller: Caller
) -> None:
    """One request of a caller that was let in: one flag, or all that its key may see.

    Raises:
        Refusal: before anything was sent.
    """
    path = scope.path
    single = path.startswith(_ALL + "/")
    if not single and path != _ALL:
        raise Refusal(404, "not_found", f"there is no {path[:200]}", hint=f"Ask POST {_ALL} or {_ALL}/KEY.")
    if scope.method != "POST":
        raise Refusal(405, "method_not_allowed", "flags are evaluated with POST")
    unit = _unit(await body.read(scope, proto))
    if single:
        key = _key(path)
        access.allow(caller, feature_of(key, router))
        proto.response_bytes(200, [_JSON], msgspec.json.encode(evaluate(key, unit, router, rollouts)))
        return
    found = [evaluate(key, unit, router, rollouts) for key in _keys(router, caller)]
    data = msgspec.json.encode({"flags": found})
    tag = f'"{blake2b(data, digest_size=16).hexdigest()}"'
    if _matches(scope.headers.get("if-none-match"), tag):
        proto.response_empty(304, [("etag", tag)])
    else:
        proto.response_bytes(200, [_JSON, ("etag", tag)], data)


def refuse(refusal: Refusal, path: str, proto: Any) -> None:
    """Say why there is no value; what the protocol has no code for is GENERAL."""
    details = refusal.message if refusal.hint is None else f"{refusal.message}. {refusal.hint}"
    code = refusal.code if refusal.code in _CODES else "GENERAL"
    said = {"errorCode": code, "errorDetails": details}
    if path.startswith(_ALL + "/"):
        said = {"key": _key(path)} | said
    proto.response_bytes(refusal.status, refusal.headers(), msgspec.json.encode(said))


class _Context(msgspec.Struct, gc=False):
    targetingKey: str | None = None  # noqa: N815 - the protocol's name


class _Request(msgspec.Struct, gc=False):
    context: _Context | None = None


_decode = msgspec.json.Decoder(_Request).decode


def _unit(data: bytes) -> str | None:
    try:
        context = _decode(data or b"{}").context
    except msgspec.ValidationError as error:
        raise Refusal(400, "INVALID_CONTEXT", f"the context cannot be used: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "PARSE_ERROR", f"the body cannot be read: {error}") from None
    return None if context is None else context.targetingKey


def _key(path: str) -> str:
    return unquote(path[len(_ALL) + 1 :])


def _keys(router: Router, caller: Caller) -> Iterator[str]:
    allowed = caller.limits.features
    for feature in sorted(router.features):
        if not allowed or feature in allowed:
            yield feature
            yield feature + _OBJECT


def _matches(given: str | None, tag: str) -> bool:
    return given is not None and any(
        each.strip().removeprefix("W/") in (tag, "*") for each in given.split(",")
    )
