"""What was spent in a month, by whom and for what: sums that budgets are held against."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from shiftright.store import schema
from shiftright.store.database import Database

_table = schema.spend.c


class Spent(msgspec.Struct, frozen=True):
    """USD and requests of one scope in one month."""

    cost_usd: float = 0.0
    requests: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.cost_usd + other.cost_usd, self.requests + other.requests)


class Spend:
    """Sums by scope (``key:ID``, ``feature:NAME``, ``judge:NAME``) and month (``2026-11``, UTC)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, month: str, spent: Mapping[str, Spent]) -> None:
        """Add to several scopes in one transaction; durable when this returns."""
        if not spent:
            return
        insert = self._database.dialect.insert(schema.spend)
        # in one order everywhere: two writers that lock rows crosswise would wait for each other
        rows = [
            {"scope": scope, "month": month, "cost_usd": each.cost_usd, "requests": each.requests}
            for scope, each in sorted(spent.items())
        ]
        upsert = insert.on_conflict_do_update(
            index_elements=["scope", "month"],
            set_={
                "cost_usd": _table.cost_usd + insert.excluded.cost_usd,
                "requests": _table.requests + insert.excluded.requests,
            },
        )
        with self._database.write() as connection:
            connection.execute(upsert, rows)

    def month(self, month: str) -> dict[str, Spent]:
        """Everything spent in a month, by scope."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(schema.spend).where(_table.month == month))
            return {row.scope: Spent(row.cost_usd, row.requests) for row in rows}


def month_of(seconds: float) -> str:
    """The month (UTC) of a time in seconds since 1970, like ``2026-11``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")
