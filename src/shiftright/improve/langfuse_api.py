"""Langfuse's public API: what it answers, and a client that waits when it is told to.

Source: https://api.reference.langfuse.com (``/api/public/traces``, ``/traces/{id}``, ``/dataset-items``).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from shiftright.errors import CredentialsError, StoreError, UsageError

if TYPE_CHECKING:
    from pyreqwest.client import Client

CLOUD = "https://cloud.langfuse.com"
LARGEST_BYTES = 64 * 2**20
PAGE = 50
_ATTEMPTS = 6
_TIMEOUT_S = 60.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 120.0
_WORTH_RETRYING = frozenset({408, 429, 500, 502, 503, 504})
_OK, _NOT_FOUND = 200, 404
_REFUSED = frozenset({401, 403})

Shape = TypeVar("Shape")

NOTHING = msgspec.Raw(b"null")


class Meta(msgspec.Struct):
    total_pages: int = msgspec.field(default=1, name="totalPages")


class Listed(msgspec.Struct, Generic[Shape]):
    data: list[Shape]
    meta: Meta = msgspec.field(default_factory=Meta)


class TraceName(msgspec.Struct):
    """A trace in a list."""

    id: str


class Score(msgspec.Struct, rename="camel"):
    id: str
    name: str
    timestamp: datetime
    value: float | str | None = None
    string_value: str | None = None
    data_type: str = "NUMERIC"
    source: str = "API"
    comment: str | None = None
    author_user_id: str | None = None


class Observation(msgspec.Struct, rename="camel"):
    """``usage_details`` counts tokens and ``cost_details`` has USD, both by kind; ``usage`` is their older form."""

    id: str
    start_time: datetime
    type: str = "SPAN"
    name: str | None = None
    end_time: datetime | None = None
    parent_observation_id: str | None = None
    model: str | None = None
    input: msgspec.Raw = NOTHING
    output: msgspec.Raw = NOTHING
    metadata: msgspec.Raw = NOTHING
    model_parameters: msgspec.Raw = NOTHING
    level: str | None = None
    status_message: str | None = None
    version: str | None = None
    usage_details: dict[str, float | None] | None = None
    cost_details: dict[str, float | None] | None = None
    usage: dict[str, Any] | None = None
    calculated_total_cost: float | None = None


class Trace(msgspec.Struct, rename="camel"):
    id: str
    timestamp: datetime
    name: str | None = None
    input: msgspec.Raw = NOTHING
    output: msgspec.Raw = NOTHING
    metadata: msgspec.Raw = NOTHING
    session_id: str | None = None
    user_id: str | None = None
    release: str | None = None
    version: str | None = None
    environment: str | None = None
    tags: list[str] | None = None
    observations: list[Observation] = []
    scores: list[Score] = []


class DatasetItem(msgspec.Struct, rename="camel"):
    id: str
    input: Any = None
    expected_output: Any = None
    source_trace_id: str | None = None
    status: str | None = None


class TooLarge(StoreError):
    """An answer of more than ``LARGEST_BYTES``."""


class Api:
    """A Langfuse project by its keys. An async context manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # the second is how Langfuse's newer SDKs call it
        host = environment.get("LANGFUSE_HOST") or environment.get("LANGFUSE_BASE_URL") or CLOUD
        self._host = host.rstrip("/")
        if not _is_address(host):
            raise UsageError(f"LANGFUSE_HOST is no address: {host!r}", hint=f"Such as {CLOUD}")
        keys = [environment.get(f"LANGFUSE_{kind}_KEY") or "" for kind in ("PUBLIC", "SECRET")]
        if not all(keys):
            raise CredentialsError(
                "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are needed to read from Langfuse",
                hint="They are in the Langfuse project under Settings, API keys.",
            )
        self._authorization = "Basic " + base64.b64encode(":".join(keys).encode()).decode()

    async def __aenter__(self) -> Api:
        from pyreqwest.client import ClientBuilder

        # a redirect could carry the keys to another host
        builder = ClientBuilder().follow_redirects(False).timeout(timedelta(seconds=_TIMEOUT_S))
        self._client: Client = builder.build()
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self._client.close()

    async def pages(self, path: str, query: Mapping[str, str], shape: type[Shape]) -> AsyncIterator[Shape]:
        """Every row of a list, page after page; one page is held at a time."""
        page = pages = 1
        while page <= pages:
            asked = {**query, "page": str(page), "limit": str(PAGE)}
            listed = await self.get(path, asked, Listed[shape])  # type: ignore[valid-type]
            for row in listed.data:
                yield row
            pages = listed.meta.total_pages
            page += 1

    async def get(self, path: str, query: Mapping[str, str], shape: type[Shape]) -> Shape:
        """
        Raises:
            CredentialsError, UsageError (there is no such thing), StoreError (it fails, or answers something else).
        """
        status, body = await self._tried(path, query)
        if status in _REFUSED:
            raise CredentialsError(
                f"{self._host} refuses the keys ({status})",
                hint="See LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY; LANGFUSE_HOST has to be the keys' region.",
            )
        if status == _NOT_FOUND:
            raise UsageError(f"{self._host} has no {path}")
        if status != _OK:
            said = body[:200].decode("utf-8", "replace")
            raise StoreError(f"{self._host} answered {status} to {path}: {said}", hint="Pull again later.")
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            raise StoreError(
                f"{self._host} answered {path} with something that is not Langfuse's: {cause}",
                hint="Is LANGFUSE_HOST the address of Langfuse?",
            ) from None

    async def _tried(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        """The last answer, after waiting as long as it was asked for."""
        from pyreqwest.exceptions import RequestError

        for attempt in range(1, _ATTEMPTS + 1):
            wait = _FIRST_WAIT_S * 2 ** (attempt - 1)
            try:
                status, body, asked = await self._once(path, query)
            except RequestError as cause:
                if attempt == _ATTEMPTS:
                    raise StoreError(
                        f"{self._host} does not answer: {cause}",
                        hint="Is LANGFUSE_HOST right? Pull again later.",
                    ) from None
            else:
                wait = wait if asked is None else asked
                if status not in _WORTH_RETRYING or attempt == _ATTEMPTS or wait > _LONGEST_WAIT_S:
                    return status, body
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _once(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes, float | None]:
        """Status, body, and the seconds that it asks us to wait."""
        request = self._client.get(f"{self._host}/api/public/{path}").query(dict(query))
        request = request.header("authorization", self._authorization, is_sensitive=True)
        async with request.build_streamed() as response:
            body = bytearray()
            while (chunk := await response.body_reader.read_chunk()) is not None:
                body += bytes(chunk)
                if len(body) > LARGEST_BYTES:
                    raise TooLarge(f"{path} is larger than {LARGEST_BYTES // 2**20} MB")
            return response.status, bytes(body), _seconds(response.get_header("retry-after"))


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.strip().isdigit() else None
