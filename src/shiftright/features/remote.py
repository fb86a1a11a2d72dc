"""A feature behind a URL: POST ``{"input": …, "variant": {…}}``, JSON back."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

import msgspec

from shiftright.core.spec import Variant
from shiftright.errors import FeatureError, ProviderError

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

MAX_BYTES = 10_000_000
"""A longer response is a failure: nobody means to return it."""


class Remote:
    """Keeps its connections per event loop until ``close``."""

    def __init__(self, url: str, variant: Variant) -> None:
        import httpx2

        self.url = url
        # Here, not in the first call: reading the certificates takes longer than many answers.
        self._tls = httpx2.create_ssl_context() if url.startswith("https:") else False
        self.settings = variant.settings
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = (
            weakref.WeakKeyDictionary()
        )

    async def post(self, value: Any) -> Any:
        import httpx2

        body = msgspec.json.encode({"input": value, "variant": self.settings})
        request = self._client().build_request("POST", self.url, content=body)
        try:
            response = await self._client().send(request, stream=True)
            try:
                text = await self._read(response)
            finally:
                await response.aclose()
        except httpx2.TransportError as cause:
            raise ProviderError(f"{self.url}: {type(cause).__name__}: {cause}") from cause
        return self._output(response.status_code, text)

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _client(self) -> AsyncClient:
        import httpx2

        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            # No timeout of its own: the call's is the one the contract's owner set.
            self._clients[loop] = httpx2.AsyncClient(
                timeout=None,
                verify=self._tls,
                headers={"content-type": "application/json", "accept": "application/json"},
            )
        return self._clients[loop]

    async def _read(self, response: Response) -> bytes:
        parts = bytearray()
        async for part in response.aiter_bytes():
            parts += part
            if len(parts) > MAX_BYTES:
                raise FeatureError(f"{self.url} sent more than {MAX_BYTES:,} bytes")
        return bytes(parts)

    def _output(self, status: int, text: bytes) -> Any:
        if status == 429 or status >= 500:
            raise ProviderError(f"{self.url} answered {status}: {excerpt(text)}", status=status)
        if not 200 <= status < 300:
            raise FeatureError(f"{self.url} answered {status}: {excerpt(text)}")
        return decoded(text, self.url)


def decoded(text: bytes, source: str) -> Any:
    """JSON from another process.

    Raises:
        FeatureError: with the beginning of what came instead.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FeatureError(f"{source} gave no JSON: {excerpt(text)}") from None


def excerpt(text: bytes, limit: int = 300) -> str:
    """The beginning of foreign text, safe for a message."""
    shown = text.decode("utf-8", "replace").strip()
    return (shown[:limit] + " …" if len(shown) > limit else shown) or "(nothing)"
