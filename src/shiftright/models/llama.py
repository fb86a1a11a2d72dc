"""llama.cpp in this process, spoken to as an OpenAI-compatible API without a wire.

The requests of pydantic-ai's OpenAIChatModel go to a transport that hands them to xllamacpp in a thread: tools,
schemas, streams and usage work as with any provider, and nothing leaves the process. (The library also opens an
HTTP port on loopback; it wants a random key that nobody knows.)
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from shiftright.errors import SpecError
from shiftright.models.cores import idle_cores
from shiftright.models.retry import RetryPolicy
from shiftright.models.scope import current

_CONTEXT_TOKENS = 8192
_PROMPT_CACHE_MIB = 256
# One JSON value in one line: a small model otherwise spends half its tokens, and so half the time, on indentation.
# What the grammar cannot express (formats, unique items) is left to validation.
_GUIDANCE = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", ", "lenient": True}


class LocalModel(OpenAIChatModel):
    """A GGUF file as a pydantic-ai model. Greedy by default; the seed of a sampled answer is the repeat."""

    free = True
    concurrency = 1
    # A second attempt at the same computation gives the same, and a slow one would only queue behind the first.
    retry = RetryPolicy(timeout_s=300.0, total_s=300.0, attempts=1)

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(
            name if not name.endswith(".gguf") else f"{path.name}:{path.stat().st_size}",
            provider=OpenAICompatibleProvider(
                "local",
                base_url="http://local.invalid/v1",
                api_key="none",
                http_client=httpx2.AsyncClient(transport=_InProcess(path)),
            ),
            profile=ModelProfile(
                supports_json_schema_output=True,
                default_structured_output_mode="native",
                # llama.cpp reads <|im_end|> in a user's text as the end of the user's turn.
                may_tokenize_special_tokens_in_content=True,
            ),
            settings=ModelSettings(temperature=0.0, max_tokens=512),
        )


class _InProcess(httpx2.AsyncBaseTransport):
    """Answers ``POST /chat/completions`` from the model in this process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body: dict[str, Any] = json.loads(await request.aread())
        scope = current()
        body.setdefault("seed", 0 if scope is None else scope.repeat)
        schema = (body.get("response_format") or {}).get("json_schema")
        # llama.cpp takes no grammar of ours beside tools; with tools its own, slower one holds the schema.
        if schema is not None and not body.get("tools"):
            del body["response_format"]
            body["grammar"] = _grammar(schema["schema"])
        loaded = await asyncio.to_thread(_load, self._path)
        if body.get("stream"):
            return httpx2.Response(
                200, headers={"content-type": "text/event-stream"}, content=loaded.stream(body)
            )
        answer = await asyncio.get_running_loop().run_in_executor(loaded.thread, loaded.complete, body)
        status = int(answer["error"].get("code", 500)) if "error" in answer else 200
        return httpx2.Response(status, json=answer)


class _Loaded:
    """One loaded model and the one thread that computes with it."""

    def __init__(self, path: Path) -> None:
        xllamacpp: Any = import_module("xllamacpp")
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.model_alias = {path.name}
        parameters.n_ctx = _CONTEXT_TOKENS
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = idle_cores()
        # Between two tokens the threads sleep instead of spinning: others may need the cores.
        parameters.cpuparams.poll = 0
        parameters.cache_ram_mib = _PROMPT_CACHE_MIB
        parameters.verbosity = -1
        parameters.api_keys = [secrets.token_urlsafe(32)]
        parameters.endpoint_slots = False
        parameters.ui = False
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise SpecError(f"llama.cpp cannot load this model: {error}", file=path) from error
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="local-model")

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._server.handle_chat_completions(body)
        return answer

    async def stream(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        """The answer as server-sent events."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        put: Callable[[dict[str, Any] | None], Any] = chunks.put_nowait

        def arrived(chunk: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(put, chunk)

        def work() -> None:
            try:
                self._server.handle_chat_completions(body, arrived)
            finally:
                loop.call_soon_threadsafe(put, None)

        computing = loop.run_in_executor(self.thread, work)
        while (chunk := await chunks.get()) is not None:
            yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
        await computing
        yield b"data: [DONE]\n\n"


_loading = threading.Lock()


def _load(path: Path) -> _Loaded:
    with _loading:
        return _load_once(path.resolve())


@cache
def _load_once(path: Path) -> _Loaded:
    return _Loaded(path)


def _grammar(schema: dict[str, Any]) -> str:
    """An llguidance grammar for one JSON value of this schema."""
    return "%llguidance {}\nstart: %json " + json.dumps({"x-guidance": _GUIDANCE, **_closed(schema)})


def _closed(schema: Any) -> Any:
    """The schema with every object limited to the properties it names: else a small model invents more of them."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
