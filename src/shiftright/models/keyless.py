"""A model whose key is missing: answers that are known are known all the same, and nothing else can be asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel

from shiftright.errors import CredentialsError

# What stands where a key would. It is never sent: every request is refused before.
PLACEHOLDER = "no-key"


class Keyless(WrapperModel):
    """Says of itself what the model with a key would, so that its remembered answers are found, and refuses to ask.

    Raises:
        CredentialsError: ``missing``, at each request.
    """

    def __init__(self, wrapped: Model, missing: CredentialsError) -> None:
        super().__init__(wrapped)
        self.missing = missing

    async def request(self, *_: Any, **__: Any) -> ModelResponse:
        self._refuse()

    @asynccontextmanager
    async def request_stream(self, *_: Any, **__: Any) -> AsyncGenerator[StreamedResponse]:
        self._refuse()
        yield  # makes it a generator

    def _refuse(self) -> NoReturn:
        # a new one each time: a raised error carries the traceback of its first raising
        raise CredentialsError(self.missing.message, hint=self.missing.hint)
