"""What a model call costs in USD: the user's own price, else the list price, else unknown (None, never 0)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from shiftright.core.answer import Usage
from shiftright.errors import SpecError

_AMOUNT = re.compile(
    r"^\s*\$?\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:USD)?\s*(?:/\s*(?:1?M|MTok|h|hour))?\s*$", re.IGNORECASE
)
_CHARS_PER_TOKEN = 4
_EXPECTED_OUTPUT_TOKENS = 500


class Price(msgspec.Struct, frozen=True):
    """What calls of one model cost.

    ``input`` and ``output`` are USD per million tokens; ``gpu_hour`` is USD per hour of a machine that answers
    ``concurrency`` calls at a time. With none of them the list price of ``model`` at ``provider`` (a genai-prices
    id) or ``base_url`` counts.
    """

    model: str = ""
    provider: str | None = None
    base_url: str | None = None
    input: float | None = None
    output: float | None = None
    gpu_hour: float | None = None
    concurrency: int = 1

    @property
    def own(self) -> bool:
        """Named by the user, not looked up."""
        return self.input is not None or self.gpu_hour is not None

    def cost(self, usage: Usage, seconds: float) -> float | None:
        """USD of a call with this usage that took ``seconds``; None when no price is known, or no usage is."""
        if self.gpu_hour is not None:
            return seconds * self.gpu_hour / 3600 / self.concurrency
        if self.input == 0 and not self.output:
            return 0.0
        if not usage.input_tokens and not usage.output_tokens:
            return None  # a provider that does not say, or says what cannot be: not a free call
        if self.input is not None:
            return (usage.input_tokens * self.input + usage.output_tokens * (self.output or 0.0)) / 1e6
        if not self.model:
            return None
        return _list_price(self.model, self.provider, self.base_url, usage)

    def expected(
        self, characters: int, max_tokens: int | None, seconds: float = 1.0, answers: int = 1
    ) -> float | None:
        """USD a call may cost, before it is made.

        Tokens are taken as characters / 4, and each answer as ``max_tokens`` long (500 where that is not set), so
        the estimate is rather high than low.
        """
        tokens = characters // _CHARS_PER_TOKEN + 1
        return self.cost(Usage(tokens, answers * (max_tokens or _EXPECTED_OUTPUT_TOKENS)), seconds)


FREE = Price(input=0.0, output=0.0)
UNKNOWN = Price()


def own_price(settings: Mapping[str, Any]) -> Price | None:
    """The price a variant names: ``price: {input: 0.15 USD/M, output: 0.6 USD/M}`` or ``gpu_hour: 2.5 USD``.

    Raises:
        SpecError: when an amount cannot be read or a key is unknown.
    """
    if (hourly := settings.get("gpu_hour")) is not None:
        return Price(gpu_hour=_amount("gpu_hour", hourly), concurrency=int(settings.get("concurrency") or 1))
    given = settings.get("price")
    if given is None:
        return None
    if not isinstance(given, Mapping) or not {"input", "output"} == set(given):
        raise SpecError(
            "`price` needs exactly the keys `input` and `output`",
            hint="For example `price: {input: 0.15 USD/M, output: 0.6 USD/M}` (USD per million tokens).",
        )
    return Price(
        input=_amount("price.input", given["input"]), output=_amount("price.output", given["output"])
    )


def prices_as_of() -> str:
    """Which price list the list prices are from: its version and its latest price change up to today."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')} ({_latest_change()})"


def _amount(key: str, value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    found = _AMOUNT.match(value) if isinstance(value, str) else None
    if found is None:
        raise SpecError(
            f"`{key}: {value}` is not an amount of money", hint="Write it like `0.15 USD/M` or `2.5 USD`."
        )
    return float(found[1])


# No model's price changes with the length of the prompt below this many tokens, so there it is a straight line.
_STRAIGHT_BELOW = 32_000
_PRICES_HOLD_S = 600


def _list_price(model: str, provider: str | None, base_url: str | None, usage: Usage) -> float | None:
    written = usage.written_tokens
    uncached = usage.input_tokens - usage.cached_tokens - written
    if usage.input_tokens >= _STRAIGHT_BELOW or uncached < 0:
        return _looked_up(model, provider, base_url, usage)
    # Looking a price up takes 100 µs, which is half of what a request may take; some prices depend on the hour.
    line = _price_line(model, provider, base_url, int(time.time() // _PRICES_HOLD_S))
    if line is None:
        return None
    call, fresh, cached, kept, output = line
    tokens = uncached * fresh + usage.cached_tokens * cached + written * kept + usage.output_tokens * output
    return call + tokens / 1e6


@lru_cache(maxsize=1024)
def _price_line(
    model: str, provider: str | None, base_url: str | None, period: int
) -> tuple[float, float, float, float, float] | None:
    """USD of a call, and of a million tokens fresh, cached, written into the cache, and answered."""
    half, whole = 10_000, 20_000
    shorter = _looked_up(model, provider, base_url, Usage(half))
    longer = _looked_up(model, provider, base_url, Usage(whole))
    cached = _looked_up(model, provider, base_url, Usage(whole, 0, half))
    written = _looked_up(model, provider, base_url, Usage(whole, written_tokens=half))
    answered = _looked_up(model, provider, base_url, Usage(half, half))
    if shorter is None or longer is None or cached is None or written is None or answered is None:
        return None
    each = round(longer - shorter, 12)
    per_million = 1e6 / half
    return (
        round(shorter - each, 12),
        each * per_million,
        round(cached - shorter, 12) * per_million,
        round(written - shorter, 12) * per_million,
        round(answered - shorter, 12) * per_million,
    )


def _looked_up(model: str, provider: str | None, base_url: str | None, usage: Usage) -> float | None:
    # The data shipped with genai-prices; without its updater it never uses the network. The usage is already
    # extracted with the API's own flavour by pydantic-ai, so cached tokens are inside input_tokens here.
    from genai_prices import Usage as Priced
    from genai_prices import calc_price

    priced = Priced(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.written_tokens,
    )
    if base_url:
        try:
            return float(calc_price(priced, model, provider_api_url=base_url).total_price)
        except LookupError:
            pass  # an address the list does not know may still be of a provider it knows
    try:
        return float(calc_price(priced, model, provider_id=provider).total_price) if provider else None
    except LookupError:
        return None


@lru_cache(maxsize=1)
def _latest_change() -> str:
    from genai_prices.data_snapshot import get_snapshot

    dates = [
        date
        for provider in get_snapshot().providers
        for model in provider.models
        if isinstance(model.prices, list)
        for conditional in model.prices
        if (date := getattr(conditional.constraint, "start_date", None)) is not None
    ]
    # The list also announces changes to come.
    today = datetime.now(UTC).date()
    return max((date.isoformat() for date in dates if date <= today), default="undated")
