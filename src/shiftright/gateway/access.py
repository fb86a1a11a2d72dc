"""Who may ask, how often and for how much: keys, rate limits and budgets, held in memory and kept in the records.

The event loop only reads and writes dictionaries. One task carries what changed to the records and back, about once a
second, on a thread: a revoked key is refused, and another replica's spend counted, that much later. An answer that has
begun is finished.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Mapping

import msgspec

from shiftright.errors import StoreError
from shiftright.gateway.refusal import Refusal
from shiftright.store import Records
from shiftright.store.keys import AccessKey, Limits, digest_of_key
from shiftright.store.spend import Spent, month_of

_log = logging.getLogger("shiftright.gateway")
_EVERY_S = 1.0
_ROUNDING_USD = 1e-12


class Caller(msgspec.Struct):
    """A key in use. ``allowance`` is how many requests it may make now; it grows back with time."""

    id: str
    name: str
    limits: Limits
    scope: str
    allowance: float = 0.0
    counted_at: float = 0.0


ANYBODY = Caller("", "", Limits(), "key:")
OWNER = Caller("owner", "SHIFTRIGHT_KEY", Limits(), "key:owner")


class Access:
    """The keys of a server. Without any, whoever reaches it may use it."""

    def __init__(self, records: Records, owner_key: str | None) -> None:
        self.records = records
        self._owner = None if owner_key is None else digest_of_key(owner_key)
        self._callers: dict[str, Caller] = {}
        self._had_keys = False
        self._spent: dict[str, Spent] = {}
        self._unsaved: dict[str, Spent] = {}
        self._saving: dict[str, Spent] = {}
        self._held: dict[str, float] = {}
        """USD that requests under way may cost, by scope."""
        self._month = ""
        self._budgets: dict[str, float] = {}
        self._failing = False
        self._load(*self._read())

    @property
    def needs_key(self) -> bool:
        """Is a key asked for? Once there was one, always: revoking the last one must not open the server."""
        return self._owner is not None or self._had_keys

    def caller(self, secret: str | None) -> Caller:
        """Who asks.

        Raises:
            Refusal: 401 for a missing, unknown or revoked key.
        """
        if not self.needs_key:
            return ANYBODY
        if not secret:
            raise Refusal(
                401,
                "missing_api_key",
                "this server needs a key",
                hint="Send it as Authorization: Bearer KEY or x-api-key: KEY",
            )
        # Equal digests are found by hash, not by comparing secrets: time tells nothing about a key.
        digest = digest_of_key(secret)
        if self._owner is not None and hmac.compare_digest(digest, self._owner):
            return OWNER
        known = self._callers.get(digest)
        if known is None:
            raise Refusal(401, "invalid_api_key", "this key is unknown or was revoked")
        return known

    def admit(self, caller: Caller) -> None:
        """Count one request of the caller.

        Raises:
            Refusal: 429 above its rate, or when its month is used up.
        """
        rate = caller.limits.requests_per_minute
        if rate is not None:
            now = time.monotonic()
            grown = caller.allowance + (now - caller.counted_at) * rate / 60
            caller.allowance, caller.counted_at = min(grown, max(1.0, rate)), now
            if caller.allowance < 1:
                raise Refusal(
                    429,
                    "rate_limit_exceeded",
                    f"key {caller.name!r} may make {rate:g} requests a minute",
                    retry_after_s=(1 - caller.allowance) * 60 / rate,
                )
            caller.allowance -= 1
        self._within(caller.scope, caller.limits.month_at_most_usd, f"key {caller.name!r}")

    def allow(self, caller: Caller, name: str) -> None:
        """Is this feature or model one of the caller's?

        Raises:
            Refusal: 403 outside of the key's features.
        """
        allowed = caller.limits.features
        if allowed and name not in allowed:
            raise Refusal(
                403,
                "not_allowed",
                f"key {caller.name!r} may not use {name[:200]!r}",
                hint=f"It may use: {', '.join(allowed)}.",
            )

    def hold(self, caller: Caller, feature: str, expected_usd: float) -> None:
        """Hold back what a request of a limited caller may cost, until ``spend`` says what it did.

        Raises:
            Refusal: 429 when the key's or the feature's month is used up, or may be by requests under way.
        """
        self._within(caller.scope, caller.limits.month_at_most_usd, f"key {caller.name!r}")
        if feature:
            self._within(f"feature:{feature}", self._budgets.get(feature), f"feature {feature!r}")
        for scope in _scopes(caller, feature):
            self._held[scope] = self._held.get(scope, 0.0) + expected_usd

    def limited(self, caller: Caller, feature: str) -> bool:
        """Is there a limit in USD on what this caller or this feature spends?"""
        return caller.limits.month_at_most_usd is not None or feature in self._budgets

    def limit_features(self, budgets: Mapping[str, float]) -> None:
        """USD a month by feature (``month_at_most`` of the contracts)."""
        self._budgets = dict(budgets)

    def spend(self, caller: Caller, feature: str, cost_usd: float, held_usd: float = 0.0) -> None:
        """Count what a request cost, in place of what was held back for it."""
        spent = Spent(cost_usd, 1)
        for scope in _scopes(caller, feature):
            self._unsaved[scope] = self._unsaved.get(scope, _NOTHING) + spent
            if held_usd:
                left = self._held[scope] - held_usd
                if left > _ROUNDING_USD:
                    self._held[scope] = left
                else:
                    del self._held[scope]

    def spent(self, scope: str) -> float:
        """USD this month, what is not saved yet included."""
        parts = (self._spent, self._saving, self._unsaved)
        return sum(part[scope].cost_usd for part in parts if scope in part)

    async def keep_current(self) -> None:
        """Exchange with the records for ever; what failed is told once and tried again."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.exchange()

    async def exchange(self) -> None:
        """Save what was spent; read keys and what others spent."""
        unsaved, self._unsaved = self._unsaved, {}
        self._saving = unsaved
        try:
            found = await asyncio.to_thread(self._exchanged, unsaved)
        except StoreError as error:
            self._saving = {}
            for scope, spent in unsaved.items():
                self._unsaved[scope] = self._unsaved.get(scope, _NOTHING) + spent
            if not self._failing:
                _log.error("keys and spend are not up to date: %s", error)
            self._failing = True
            return
        self._failing = False
        self._saving = {}
        self._load(*found)

    def _exchanged(self, unsaved: Mapping[str, Spent]) -> tuple[tuple[AccessKey, ...], str, dict[str, Spent]]:
        # what is spent around midnight of a month's last day counts for the month in which it is saved
        self.records.spend.add(month_of(time.time()), unsaved)
        return self._read()

    def _read(self) -> tuple[tuple[AccessKey, ...], str, dict[str, Spent]]:
        month = month_of(time.time())
        return self.records.keys.list(), month, self.records.spend.month(month)

    def _load(self, keys: tuple[AccessKey, ...], month: str, spent: dict[str, Spent]) -> None:
        self._had_keys = self._had_keys or bool(keys)
        known = {caller.id: caller for caller in self._callers.values()}
        self._callers = {
            key.digest: known.get(key.id)
            or Caller(
                key.id,
                key.name,
                key.limits,
                f"key:{key.id}",
                max(1.0, key.limits.requests_per_minute or 0.0),
                time.monotonic(),
            )
            for key in keys
            if key.revoked_at is None
        }
        self._month, self._spent = month, spent

    def _within(self, scope: str, budget: float | None, who: str) -> None:
        if budget is None:
            return
        spent = self.spent(scope)
        if spent >= budget:
            raise Refusal(
                429,
                "insufficient_quota",
                f"{who} has spent its {budget:g} USD of {self._month}",
                hint="Raise the limit, or wait for the next month.",
                final=True,
            )
        if spent + self._held.get(scope, 0.0) >= budget:
            raise Refusal(
                429,
                "budget_held",
                f"what is left of {budget:g} USD for {who} may be used up by requests under way",
                hint="Ask again when they have their answers.",
                retry_after_s=1.0,
            )


def _scopes(caller: Caller, feature: str) -> tuple[str, ...]:
    return (caller.scope, f"feature:{feature}") if feature else (caller.scope,)


_NOTHING = Spent()
