"""Answers by what was asked: the same request in the same repeat is paid once.

The key covers the model, its address, the settings, the messages, the tools and the output schema; not times, ids
or anything else that differs between two identical requests.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import struct
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from shiftright.core.case import digest_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_ai.messages import ModelResponse


class ModelCache(Protocol):
    """Where answers are kept, by request digest and repeat."""

    def get(self, key: str, repeat: int) -> bytes | None: ...

    def put(self, key: str, repeat: int, body: bytes) -> None: ...


class Reply(msgspec.Struct, frozen=True):
    """A model's response and what it took when it was first produced: seconds, and USD (None: unknown)."""

    response: ModelResponse
    latency_s: float
    cost_usd: float | None
    cached: bool = False
    attempts: int = 1


# What differs between two identical requests, by the field names of pydantic-ai's messages.
_VOLATILE = frozenset(
    {
        "timestamp",
        "run_id",
        "conversation_id",
        "metadata",
        "usage",
        "provider_response_id",
        "provider_details",
    }
    | {"failed_attempts", "history_digest", "model_id", "workspace_ref", "state"}
)
# Settings that change when an answer comes, not which.
_PATIENCE = frozenset({"timeout", "request_timeout", "first_event_timeout", "max_retries"})
_HEADER = struct.Struct("<dd")


def request_digest(
    identity: tuple[str, str | None], settings: dict[str, Any] | None, messages: Any, parameters: Any
) -> str:
    """32 hex digits for a request to the model of this ``identity`` (name, base URL)."""
    kept = {k: v for k, v in settings.items() if k not in _PATIENCE} if settings else None
    return digest_of(_encoder.encode((identity, kept, _plain(messages), _plain(parameters))))


class SingleFlight:
    """Lets one of several identical requests through while the others wait for its answer."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[int, int, str, int], asyncio.Future[Reply | Exception | None]] = {}

    async def through(
        self, store: ModelCache, key: str, repeat: int, ask: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """The cached reply, else that of the request under way, else a new one, which is cached unless empty."""
        place = (id(asyncio.get_running_loop()), id(store), key, repeat)
        while (flight := self._under_way.get(place)) is not None:
            outcome = await asyncio.shield(flight)
            if isinstance(outcome, Reply):
                return msgspec.structs.replace(outcome, cached=True)
            if outcome is not None:
                raise outcome
            # The one under way was cancelled: its answer is nobody's, so the next in line asks.
        if (body := store.get(key, repeat)) is not None:
            return decode(body)
        flight = self._under_way[place] = asyncio.get_running_loop().create_future()
        outcome = None
        try:
            outcome = reply = await ask()
            if worth_keeping(reply.response):
                store.put(key, repeat, encode(reply))
            return reply
        except Exception as error:
            outcome = error
            raise
        finally:
            del self._under_way[place]
            flight.set_result(outcome)


def worth_keeping(response: ModelResponse) -> bool:
    """Whether an answer may be cached: complete, not refused, and not empty."""
    return (
        response.state == "complete"
        and response.finish_reason not in ("content_filter", "error")
        and any(getattr(part, "content", None) or part.part_kind == "tool-call" for part in response.parts)
    )


def encode(reply: Reply) -> bytes:
    """A reply as bytes: latency and cost as two doubles, then pydantic-ai's JSON of the response."""
    return pack(reply.latency_s, reply.cost_usd, _responses().dump_json(reply.response))


def decode(body: bytes) -> Reply:
    latency_s, cost_usd, response = unpack(body)
    return Reply(_responses().validate_json(response), latency_s, cost_usd, cached=True)


def pack(latency_s: float, cost_usd: float | None, response: bytes) -> bytes:
    """What ``encode`` gives, of a response that is JSON already."""
    return _HEADER.pack(latency_s, math.nan if cost_usd is None else cost_usd) + response


def unpack(body: bytes) -> tuple[float, float | None, bytes]:
    """Latency in seconds, cost in USD, and the response's JSON."""
    latency_s, cost = _HEADER.unpack_from(body)
    return latency_s, None if math.isnan(cost) else cost, memoryview(body)[_HEADER.size :].tobytes()


@cache
def _responses() -> TypeAdapter[ModelResponse]:
    from pydantic import TypeAdapter
    from pydantic_ai.messages import ModelResponse

    return TypeAdapter(ModelResponse)


_known: dict[type[Any], tuple[tuple[str, Any], ...] | None] = {}


def _fields(kind: type[Any]) -> tuple[tuple[str, Any], ...] | None:
    """Names and defaults of the fields that say what was asked; None for what is no dataclass."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(
        (f.name, f.default)
        for f in dataclasses.fields(kind)
        if f.name not in _VOLATILE and not f.name.startswith("_")
    )


def _plain(value: Any) -> Any:
    """Dataclasses as dicts of what differs from the defaults, with their kind."""
    kind = type(value)
    if kind is str:
        return value
    if kind is list or kind is tuple:
        return [_plain(item) for item in value]
    try:
        fields = _known[kind]
    except KeyError:
        fields = _known[kind] = _fields(kind)
    if fields is None:
        return value
    found: dict[str, Any] = {"": kind.__name__}
    for name, default in fields:
        item = getattr(value, name)
        if item is not None and item is not default and item != default and item != []:
            found[name] = _plain(item)
    return found


def _jsonable(value: Any) -> Any:
    """For what tools return and settings hold beyond plain JSON."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)


_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=_jsonable)
