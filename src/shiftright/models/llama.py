"""llama.cpp in this process, spoken to as an OpenAI-compatible API without a wire.

The requests of pydantic-ai's OpenAIChatModel go to a transport that hands them to xllamacpp in a thread: tools,
schemas, streams and usage work as with any provider, and nothing leaves the process. (The library also opens an
HTTP port on loopback; it wants a random key that nobody knows.)
"""

from __future__ import annotations

import asyncio
import json
import re
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
from pydantic_ai.settings import ModelSettings

from shiftright.errors import SpecError
from shiftright.models.address import AddressProvider
from shiftright.models.cores import idle_cores
from shiftright.models.retry import RetryPolicy
from shiftright.models.scope import current
from shiftright.models.tool_prompts import (
    as_chunk,
    json_grammar,
    read_call,
    template_has_tools,
    with_tools_as_text,
)

_CONTEXT_TOKENS = 8192
_PROMPT_CACHE_MIB = 256
_TEMPLATE_TOKEN = re.compile(
    r"<\|[^|<>]{1,40}\|>|</?(?:start|end)_of_turn>|</?(?:bos|eos|pad|unk|s|think)>|\[/?INST\]|<</?SYS>>"
)
_EVENT_STREAM = {"content-type": "text/event-stream"}


class LocalModel(OpenAIChatModel):
    """A GGUF file as a pydantic-ai model. Greedy by default; the seed of a sampled answer is the repeat."""

    free = True
    concurrency = 1
    # A second attempt at the same computation gives the same, and a slow one would only queue behind the first.
    retry = RetryPolicy(timeout_s=300.0, total_s=300.0, attempts=1)

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(
            name if not name.endswith(".gguf") else f"{path.name}:{path.stat().st_size}",
            provider=AddressProvider(
                "local",
                base_url="http://local.invalid/v1",
                api_key=None,
                http_client=httpx2.AsyncClient(transport=_InProcess(path)),
            ),
            profile=ModelProfile(
                supports_json_schema_output=True,
                default_structured_output_mode="native",
            ),
            settings=ModelSettings(temperature=0.0, max_tokens=512),
        )


class _InProcess(httpx2.AsyncBaseTransport):
    """Answers ``POST /chat/completions`` from the model in this process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body: dict[str, Any] = json.loads(await request.aread())
        body["messages"] = [_as_text(message) for message in body["messages"]]
        scope = current()
        body.setdefault("seed", 0 if scope is None else scope.repeat)
        tools = {tool["function"]["name"] for tool in body.get("tools") or ()}
        schema = (body.get("response_format") or {}).get("json_schema")
        loaded = await asyncio.to_thread(_load, self._path)
        if tools and not loaded.knows_tools:
            body = with_tools_as_text(body)
        elif schema is not None and not tools:
            del body["response_format"]
            body["grammar"] = json_grammar(schema["schema"])
        # A call written as text is only known as one when it is complete.
        if body.get("stream") and (loaded.knows_tools or not tools):
            return httpx2.Response(200, headers=_EVENT_STREAM, stream=_Events(loaded, body))
        whole = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
        answer = await asyncio.get_running_loop().run_in_executor(loaded.thread, loaded.complete, whole)
        if (error := answer.get("error")) is not None:
            status = int(error.get("code", 500))
            if error.get("type") == "exceed_context_size_error":
                error["code"] = "context_length_exceeded"  # as OpenAI says it
            return httpx2.Response(status, json=answer)
        if tools and not loaded.knows_tools:
            read_call(answer, tools)
        if body.get("stream"):
            events = f"data: {json.dumps(as_chunk(answer))}\n\ndata: [DONE]\n\n"
            return httpx2.Response(200, headers=_EVENT_STREAM, text=events)
        return httpx2.Response(200, json=answer)


def _as_text(message: dict[str, Any]) -> dict[str, Any]:
    """The message with every token of a chat template in it broken up: llama.cpp would read <|im_end|> in a user's text
    as the end of the user's turn."""
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": _broken(content)}
    if isinstance(content, list):
        parts = [{**part, "text": _broken(part["text"])} if "text" in part else part for part in content]
        return {**message, "content": parts}
    return message


def _broken(text: str) -> str:
    """A zero-width space after the first character: the same to a reader, several tokens to the model."""
    return _TEMPLATE_TOKEN.sub(lambda found: f"{found[0][0]}\u200b{found[0][1:]}", text)


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
        self.knows_tools = template_has_tools(path)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="local-model")

    def complete(self, body: dict[str, Any], arrived: Callable[[Any], bool] | None = None) -> Any:
        """The answer; or, of a request to stream, nothing, after ``arrived`` had every chunk or returned True."""
        return self._server.handle_chat_completions(body, arrived)


class _Events(httpx2.AsyncByteStream):
    """An answer as server-sent events while it is computed; the computation ends when the reader leaves."""

    def __init__(self, loaded: _Loaded, body: dict[str, Any]) -> None:
        self._loaded = loaded
        self._body = body
        self._left = threading.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        def arrived(chunk: dict[str, Any] | None) -> bool:
            # True stops llama.cpp; a loop whose reader has left may be closed already.
            if not self._left.is_set():
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            return self._left.is_set()

        def work() -> None:
            try:
                self._loaded.complete(self._body, arrived)
            finally:
                arrived(None)

        computing = loop.run_in_executor(self._loaded.thread, work)
        while (chunk := await chunks.get()) is not None:
            yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
        await computing
        yield b"data: [DONE]\n\n"

    async def aclose(self) -> None:
        self._left.set()


_loading = threading.Lock()


def _load(path: Path) -> _Loaded:
    with _loading:
        return _load_once(path.resolve())


@cache
def _load_once(path: Path) -> _Loaded:
    return _Loaded(path)
