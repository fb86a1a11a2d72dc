"""A model with everything around it: meter, cache, budget, concurrency, retries.

request → meter and span → cache (single flight) → budget → slot → retries → provider
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from time import perf_counter
from typing import Any, cast

from pydantic_ai import RunContext
from pydantic_ai.exceptions import UsageExtractionFailedWarning, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import (
    CompletedStreamedResponse,
    Model,
    ModelRequestParameters,
    StreamedResponse,
)
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from shiftright.core.answer import Usage
from shiftright.errors import Error, ModelRefused
from shiftright.models import transcript
from shiftright.models.cache import Reply, SingleFlight, decode, encode, request_digest, worth_keeping
from shiftright.models.limits import slot
from shiftright.models.prices import Price
from shiftright.models.retry import RetryPolicy, attempt
from shiftright.models.scope import CallScope, current
from shiftright.models.streaming import bounded
from shiftright.tracing import attributes as names
from shiftright.tracing.recorder import OpenSpan, span

# A model that replays an answer says here how long that took when it was recorded (in ModelResponse.metadata).
RECORDED_LATENCY = "shiftright.latency_s"

# Usage that cannot be read is recorded as a cost that is not known; the raw warning says it again on stderr.
warnings.filterwarnings("ignore", category=UsageExtractionFailedWarning)

_flights = SingleFlight()


class LayeredModel(WrapperModel):
    """A pydantic-ai model that is metered, cached, capped, limited and retried.

    Args:
        wrapped: the model itself.
        name: how the contract names it.
        settings: defaults for every request, over the wrapped model's own.
        price: what its calls cost.
        retry: timeouts and attempts.
        concurrency: calls under way at its provider at a time.
        replayed: its answers are recorded: neither cached nor paid.
    """

    def __init__(
        self,
        wrapped: Model,
        *,
        name: str,
        settings: ModelSettings | None = None,
        price: Price,
        retry: RetryPolicy | None = None,
        concurrency: int = 8,
        replayed: bool = False,
    ) -> None:
        super().__init__(wrapped)
        self.name = name
        self.price = price
        self.retry = retry or RetryPolicy()
        self.concurrency = concurrency
        self.replayed = replayed
        self._own = cast(ModelSettings, {**(wrapped.settings or {}), **(settings or {})})
        address = address_of(wrapped)
        self._identity = (wrapped.model_id, address)
        self._provider_key = f"{wrapped.system} {address}"
        self._span_name = f"chat {wrapped.model_name}"

    @property
    def settings(self) -> ModelSettings | None:
        return self._own

    def expected_cost(
        self, messages: list[ModelMessage], settings: ModelSettings | None = None
    ) -> float | None:
        """USD this request may cost, before it is made; None when the price is unknown."""
        if self.replayed:
            return 0.0
        return self.price.expected(transcript.characters(messages), self._merged(settings).get("max_tokens"))

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        scope = current()
        settings = self._merged(model_settings)
        if scope is not None:
            scope.calls += 1

        async def ask() -> Reply:
            return await self._ask(messages, settings, model_request_parameters, scope)

        began = perf_counter()
        with span(self._span_name) as step:
            try:
                if scope is None or scope.cache is None or self.replayed:
                    reply = await ask()
                else:
                    digest = request_digest(
                        self._identity, dict(settings), messages, model_request_parameters
                    )
                    reply = await _flights.through(scope.cache, digest, scope.repeat, ask)
            except Error as error:
                if scope is not None:
                    scope.note(error)
                raise
            return self._counted(reply, messages, scope, step, perf_counter() - began)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream an answer; it is cached once it is complete. One from the cache comes in one piece."""
        scope = current()
        settings = self._merged(model_settings)
        cache = None if scope is None or self.replayed else scope.cache
        repeat = 0 if scope is None else scope.repeat
        digest = request_digest(self._identity, dict(settings), messages, model_request_parameters)
        if scope is not None:
            scope.calls += 1
        began = perf_counter()
        body = None if cache is None else cache.get(digest, repeat)
        with span(self._span_name) as step:
            if body is not None:
                response = self._counted(decode(body), messages, scope, step, perf_counter() - began)
                yield CompletedStreamedResponse(
                    response, model_request_parameters=model_request_parameters, replay_events=True
                )
                return
            reserved = 0.0
            cost: float | None = None
            under_way = False
            try:
                reserved = self._reserve(messages, settings, scope)
                async with slot(self._provider_key, self.concurrency):
                    under_way = True
                    asked = perf_counter()
                    async with bounded(
                        lambda: self.wrapped.request_stream(
                            messages, settings, model_request_parameters, run_context
                        ),
                        self.retry,
                        self.name,
                        None if scope is None else scope.timeout_s,
                    ) as stream:
                        yield stream
                    response, took = stream.get(), perf_counter() - asked
                cost = self._cost(response, took)
            except asyncio.CancelledError:
                if under_way and scope is not None:
                    scope.meter.left_usd += self.expected_cost(messages, settings) or 0.0
                raise
            except Error as error:
                if scope is not None:
                    scope.note(error)
                self._count_failure(scope, perf_counter() - began)
                raise
            finally:
                self._settle(reserved, cost, scope)
            reply = Reply(response, took, cost)
            if cache is not None and worth_keeping(response):
                cache.put(digest, repeat, encode(reply))
            self._counted(reply, messages, scope, step, perf_counter() - began)

    def _merged(self, given: ModelSettings | None) -> ModelSettings:
        return cast(ModelSettings, {**self._own, **given}) if given else self._own

    async def _ask(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings,
        parameters: ModelRequestParameters,
        scope: CallScope | None,
    ) -> Reply:
        """One request to the model itself."""
        reserved = self._reserve(messages, settings, scope)
        began = perf_counter()
        cost: float | None = None
        under_way = False
        try:
            if self.replayed:
                response = await self.wrapped.request(messages, settings, parameters)
                took, attempts = (response.metadata or {}).get(RECORDED_LATENCY, 0.0), 1
            else:
                async with slot(self._provider_key, self.concurrency):
                    under_way = True
                    asked = perf_counter()
                    response, attempts = await attempt(
                        lambda: self.wrapped.request(messages, settings, parameters),
                        self.retry,
                        self.name,
                        None if scope is None else scope.timeout_s,
                    )
                    took = perf_counter() - asked
            cost = self._cost(response, took)
            return Reply(response, took, cost, attempts=attempts)
        except asyncio.CancelledError:
            if under_way and scope is not None:
                scope.meter.left_usd += self.expected_cost(messages, settings) or 0.0
            raise
        except Error:
            self._count_failure(scope, perf_counter() - began)
            raise
        finally:
            self._settle(reserved, cost, scope)

    def _reserve(
        self, messages: list[ModelMessage], settings: ModelSettings, scope: CallScope | None
    ) -> float:
        if scope is None or scope.budget is None:
            return 0.0
        expected = None if scope.budget.max_cost_usd is None else self.expected_cost(messages, settings)
        return scope.budget.reserve(expected, self.name)

    def _settle(self, reserved: float, cost: float | None, scope: CallScope | None) -> None:
        if scope is not None and scope.budget is not None:
            scope.budget.settle(reserved, 0.0 if self.replayed else cost)

    def _cost(self, response: ModelResponse, took_s: float) -> float | None:
        """USD by the user's price, else what the provider says it charged, else by the list."""
        charged = response.usage.cost
        if charged is not None and not self.price.own:
            return float(charged)
        return self.price.cost(usage_of(response), took_s)

    def _count_failure(self, scope: CallScope | None, waited_s: float) -> None:
        if scope is not None:
            scope.meter.add_failed(latency_s=waited_s, waited_s=waited_s)

    def _counted(
        self,
        reply: Reply,
        messages: list[ModelMessage],
        scope: CallScope | None,
        step: OpenSpan,
        waited_s: float,
    ) -> ModelResponse:
        """The response, after the meter and the span have it. A refusal is counted too, and then raised."""
        response = reply.response
        usage = usage_of(response)
        cost = self.price.cost(usage, reply.latency_s) if self.price.own else reply.cost_usd
        response.usage.cost = None if cost is None else Decimal(repr(cost))
        if scope is not None:
            scope.meter.add(
                usage=usage,
                cost_usd=cost,
                latency_s=reply.latency_s,
                waited_s=waited_s,
                cached=reply.cached,
                paid=not self.replayed,
            )
        if step.recorded:
            self._describe(step, messages, reply, usage, cost)
        if response.finish_reason == "content_filter":
            said = (response.provider_details or {}).get("refusal") or "content filter"
            raise ModelRefused(f"{self.name} refused: {str(said)[:500]}")
        return response

    def _describe(
        self, step: OpenSpan, messages: list[ModelMessage], reply: Reply, usage: Usage, cost: float | None
    ) -> None:
        response = reply.response
        step.set(names.OPERATION, "chat")
        step.set(names.PROVIDER, self.wrapped.system)
        step.set(names.REQUEST_MODEL, self.wrapped.model_name)
        if response.model_name:
            step.set(names.RESPONSE_MODEL, response.model_name)
        if response.finish_reason:
            step.set(names.FINISH_REASONS, [response.finish_reason])
        step.set(names.INPUT_TOKENS, usage.input_tokens)
        step.set(names.OUTPUT_TOKENS, usage.output_tokens)
        if cost is not None:
            step.set(names.COST_USD, cost)
        step.set(names.CACHED, reply.cached)
        if reply.attempts > 1:
            step.set(names.ATTEMPTS, reply.attempts)
        step.set(names.INPUT_MESSAGES, transcript.input_messages(messages))
        step.set(names.OUTPUT_MESSAGES, transcript.output_messages(response))


def address_of(model: Model) -> str | None:
    """The model's base URL, where it has one."""
    try:
        return model.base_url
    except (AttributeError, UserError):
        return None  # clients without an address (Hugging Face, Bedrock) say so by failing


def usage_of(response: ModelResponse) -> Usage:
    """pydantic-ai's usage of one response as ours."""
    theirs = response.usage
    return Usage(
        theirs.input_tokens,
        theirs.output_tokens,
        theirs.cache_read_tokens,
        theirs.output_reasoning_tokens,
        theirs.cache_write_tokens,
    )
