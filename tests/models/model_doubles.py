"""A provider that answers as it is told, a model that answers without one, and a cache in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

Reaction = Callable[[BaseHTTPRequestHandler], None]


def reply(body: Any, status: int = 200, **headers: str) -> Reaction:
    """Answer with JSON, or with text as it is."""

    def react(handler: BaseHTTPRequestHandler) -> None:
        stream = isinstance(body, str) and body.startswith("data:")
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "text/event-stream" if stream else "application/json")
        handler.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return react


def says(text: str | None, **usage: int) -> Reaction:
    """A chat completion with this text."""
    return reply(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **usage},
        }
    )


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Drop the connection without an answer."""
    handler.connection.close()


class Provider:
    """What was asked, and what is answered: one reaction a request, the last one again and again."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.reactions: list[Reaction] = []
        self.closing = threading.Event()
        self.url = ""

    def answers(self, *reactions: Reaction) -> None:
        self.reactions = list(reactions)

    def react(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["content-length"])
        self.requests.append(json.loads(handler.rfile.read(length)))
        reaction = self.reactions.pop(0) if len(self.reactions) > 1 else self.reactions[0]
        reaction(handler)


class Memory:
    """A cache in memory that counts what is put into it."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], bytes] = {}

    def get(self, key: str, repeat: int) -> bytes | None:
        return self.kept.get((key, repeat))

    def put(self, key: str, repeat: int, body: bytes) -> None:
        self.kept[key, repeat] = body


class Scripted(Model):
    """Gives one text after the other, or raises one error after the other."""

    def __init__(self, *answers: str | Exception, native: bool = True) -> None:
        super().__init__(profile={"supports_json_schema_output": native})
        self.answers = list(answers)
        self.asked: list[list[ModelMessage]] = []
        self.parameters: list[ModelRequestParameters] = []

    @property
    def model_name(self) -> str:
        return "scripted"

    @property
    def system(self) -> str:
        return "test"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        self.asked.append(messages)
        self.parameters.append(model_request_parameters)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return ModelResponse(
            parts=[TextPart(answer)],
            usage=RequestUsage(input_tokens=100, output_tokens=10),
            model_name="scripted",
            finish_reason="stop",
        )
