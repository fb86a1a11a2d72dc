"""All SQL of the DuckDB telemetry store.

``spans`` holds every span once, in the order of arrival, so that DuckDB's min/max per block serve as an index on time.
``parts`` holds what each write added to each of its traces: one narrow row per trace and write. A trace is the sum of
its parts; spans may come late, out of order or without a root, and no row is ever changed. Lists, filters and figures
per hour read ``parts`` alone. Ids are pairs of 64-bit numbers: a scan of a million takes about a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from shiftright.core.trace import TraceFilter

Statement = tuple[str, list[Any]]

SPAN_COLUMNS: Final = {
    "trace_hi": "UBIGINT",
    "trace_lo": "UBIGINT",
    "span": "UBIGINT",
    "parent": "UBIGINT",
    "name": "VARCHAR",
    "start_ns": "BIGINT",
    "end_ns": "BIGINT",
    "operation": "VARCHAR",
    "error": "VARCHAR",
    "service": "VARCHAR",
    "feature": "VARCHAR",
    "variant": "VARCHAR",
    "release": "VARCHAR",
    "user": "VARCHAR",
    "session": "VARCHAR",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cached_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "input": "VARCHAR",
    "output": "VARCHAR",
    "attributes": "VARCHAR",
}
PART_COLUMNS: Final = {
    "trace_hi": "UBIGINT",
    "trace_lo": "UBIGINT",
    "start_ns": "BIGINT",
    "end_ns": "BIGINT",
    # Orders parts by what they know of the trace: a part with the root is below zero.
    "rank": "BIGINT",
    "spans": "BIGINT",
    "errors": "BIGINT",
    "root_ms": "DOUBLE",
    "name": "VARCHAR",
    "error": "VARCHAR",
    "service": "VARCHAR",
    "feature": "VARCHAR",
    "variant": "VARCHAR",
    "release": "VARCHAR",
    "user": "VARCHAR",
    "session": "VARCHAR",
    # One per line: a name of a model has no line breaks.
    "models": "VARCHAR",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "unpriced": "BIGINT",
    "input": "VARCHAR",
    "output": "VARCHAR",
}
VERSION: Final = 1
HOUR_NS: Final = 3_600_000_000_000
BUCKETS_NS: Final = {"hour": HOUR_NS, "day": 24 * HOUR_NS}

_TRACE_LEVEL: Final = ("feature", "variant", "release", "user", "session", "service")
_DURATION_MS: Final = "coalesce(max(root_ms), greatest(0, max(end_ns) - min(start_ns)) / 1e6)"
_COST: Final = "CASE WHEN sum(unpriced) > 0 THEN NULL ELSE sum(cost_usd) END"


def _sum(column: str) -> str:
    """As far as 64 bits go: the sum of what was stored before counts were limited may be larger."""
    return f"least(sum({column}), {2**63 - 1})::BIGINT"


_MODELS: Final = "arg_min(models, rank) FILTER (models <> '')"
_ERROR: Final = "arg_min(error, rank)"
# Nearly every trace asks one model, or has another than the one looked for: a list is made of the rest only.
_HAS_MODEL: Final = """
    CASE WHEN models = ? THEN true WHEN contains(models, ?) THEN list_contains(string_split(models, chr(10)), ?)
    ELSE false END
"""


def _table(name: str, columns: dict[str, str]) -> str:
    fields = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {name} ({fields})"


SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS version (number INTEGER)",
    f"INSERT INTO version SELECT {VERSION} WHERE NOT EXISTS (FROM version)",
    _table("spans", SPAN_COLUMNS),
    _table("parts", PART_COLUMNS),
)


SAVE_SPANS: Final = """
INSERT INTO spans FROM (SELECT * REPLACE (nullif(cost_usd, 'nan'::DOUBLE) AS cost_usd) FROM incoming)
"""
"""From columns in the table's order, as the next; a cost that is not a number is one that is not known."""
SAVE_PARTS: Final = "INSERT INTO parts FROM incoming"

STORED: Final = """
SELECT i.position FROM incoming i SEMI JOIN (
    SELECT trace_hi, trace_lo, span FROM spans WHERE start_ns BETWEEN ? AND ?
) s ON i.span = s.span AND i.trace_lo = s.trace_lo AND i.trace_hi = s.trace_hi
"""
"""Positions of incoming spans that are there already. A span that is sent again starts when it started, so only blocks
of that time are read: no index over all ids is needed."""

NEWEST: Final = "SELECT max(start_ns) FROM spans"
BOUNDS: Final = "SELECT min(start_ns), max(start_ns) FROM parts"
COUNT: Final = "SELECT count(*) FROM spans"


def conditions(where: TraceFilter) -> Statement:
    """What a group of parts has to fulfil, as the inside of HAVING; times apart."""
    said: list[str] = []
    given: list[Any] = []
    for column in _TRACE_LEVEL:
        if (value := getattr(where, column)) is not None:
            said.append(f'bool_or("{column}" = ?)')
            given.append(value)
    if where.model is not None:
        said.append(f"bool_or({_HAS_MODEL})")
        given += [where.model] * 3
    if where.failed is not None:
        said.append(f"{_ERROR} {'<>' if where.failed else '='} ''")
    if where.min_ms is not None:
        said.append(f"{_DURATION_MS} >= ?")
        given.append(where.min_ms)
    if where.min_cost_usd is not None:
        said.append("sum(cost_usd) >= ?")
        given.append(where.min_cost_usd)
    return " AND ".join(said) or "true", given


def _in_some_part(where: TraceFilter, since_ns: int) -> tuple[list[str], list[Any]]:
    """Ids of the traces of which one part fulfils what one has to, a set for each condition: few are left to be
    summed. No part of a trace begins before it does."""
    conditions: list[Statement] = [
        (f'"{column}" = ?', [value])
        for column in ("user", "session")
        if (value := getattr(where, column)) is not None
    ]
    if where.model is not None:
        conditions.append((_HAS_MODEL, [where.model] * 3))
    if where.failed:
        conditions.append(("error <> ''", []))
    sets = [
        f"SELECT trace_hi, trace_lo FROM parts WHERE start_ns >= ? AND {said}"  # noqa: S608  constants
        for said, _ in conditions
    ]
    return sets, [value for _, given in conditions for value in (since_ns, *given)]


def in_spans(where: TraceFilter) -> Statement | None:
    """The conditions that only spans can tell, joined by AND within one span; None when there are none."""
    said: list[str] = []
    given: list[Any] = []
    if where.text:
        said.append("(contains(lower(input), ?) OR contains(lower(output), ?))")
        given += [where.text.lower()] * 2
    if where.attribute is not None:
        name, value = where.attribute
        key = msgspec.json.encode(name).decode()
        # The first condition is cheap and leaves few rows for the second, which is exact.
        said.append("(contains(attributes, ?) AND json_extract_string(attributes, ?) = ?)")
        given += [key + ":", f"$.{key}", value]
    return (" AND ".join(said), given) if said else None


def matching(
    where: TraceFilter, since_ns: int, until_ns: int, before: tuple[int, int, int], limit: int
) -> Statement:
    """Ids and starts of traces that begin in [since, until), newest first, after the place ``before``.

    Traces are summed over all their parts, also those outside of the time: a trace belongs to one window only.
    """
    having, given = conditions(where)
    sets, bounds = _in_some_part(where, since_ns)
    if (told := in_spans(where)) is not None:
        # Spans of a trace begin after it does, rarely more than an hour.
        sets.append(
            f"SELECT trace_hi, trace_lo FROM spans WHERE start_ns >= ? AND start_ns < ? AND {told[0]}"  # noqa: S608
        )
        bounds += [since_ns, until_ns + HOUR_NS, *told[1]]
    if not sets:
        sets.append("SELECT trace_hi, trace_lo FROM parts WHERE start_ns >= ? AND start_ns < ?")
        bounds += [since_ns, until_ns]
    chosen = " AND ".join(f"(trace_hi, trace_lo) IN ({each})" for each in sets)
    sql = f"""
        SELECT trace_hi, trace_lo, min(start_ns) AS started, max(end_ns) FROM parts
        WHERE {chosen}
        GROUP BY trace_hi, trace_lo
        HAVING started >= ? AND started < ? AND (started, trace_hi, trace_lo) < (?, ?, ?) AND {having}
        ORDER BY started DESC, trace_hi DESC, trace_lo DESC LIMIT {int(limit)}
    """  # noqa: S608  parameters only, the rest are constants
    return sql, [*bounds, since_ns, until_ns, *before, *given]


def _ids(ids: Sequence[tuple[int, int]]) -> Statement:
    return "(trace_hi, trace_lo) IN (SELECT unnest(?::UBIGINT[]), unnest(?::UBIGINT[]))", [
        [high for high, _ in ids],
        [low for _, low in ids],
    ]


def rows(ids: Sequence[tuple[int, int]], since_ns: int, until_ns: int) -> Statement:
    """The fields of TraceRow but the id, after the two halves of it; all spans begin in [since, until]."""
    condition, given = _ids(ids)
    sql = f"""
        SELECT trace_hi, trace_lo, arg_min(name, rank), min(start_ns), {_DURATION_MS},
            sum(spans)::BIGINT, sum(errors)::BIGINT, max(service), max(feature), max(variant), max(release),
            max("user"), max(session), split_part(coalesce({_MODELS}, ''), chr(10), 1),
            {_sum("input_tokens")}, {_sum("output_tokens")}, {_COST},
            arg_min(input, rank), arg_min(output, rank), {_ERROR}
        FROM parts WHERE start_ns BETWEEN ? AND ? AND {condition} GROUP BY trace_hi, trace_lo
        ORDER BY min(start_ns) DESC, trace_hi DESC, trace_lo DESC
    """  # noqa: S608  parameters only
    return sql, [since_ns, until_ns, *given]


def spans_of(ids: Sequence[tuple[int, int]], since_ns: int, until_ns: int) -> Statement:
    """All spans of some traces, trace by trace, by start; all of them begin in [since, until]."""
    condition, given = _ids(ids)
    names = ", ".join(f'"{column}"' for column in SPAN_COLUMNS)
    return (
        f"SELECT {names} FROM spans WHERE start_ns BETWEEN ? AND ? AND {condition}"  # noqa: S608  constants
        " ORDER BY trace_hi, trace_lo, start_ns, span",
        [since_ns, until_ns, *given],
    )


def spans_of_one(high: int, low: int, since_ns: int, until_ns: int) -> Statement:
    names = ", ".join(f'"{column}"' for column in SPAN_COLUMNS)
    return (
        f"SELECT {names} FROM spans WHERE start_ns BETWEEN ? AND ? AND trace_lo = ? AND trace_hi = ?"  # noqa: S608
        " ORDER BY start_ns, span",
        [since_ns, until_ns, low, high],
    )


EXTENT: Final = "SELECT min(start_ns), max(end_ns) FROM parts WHERE trace_lo = ? AND trace_hi = ?"


def _traces(where: TraceFilter, since_ns: int, until_ns: int, chosen: str) -> Statement:
    """One row per matching trace that begins in [since, until): ``chosen`` over its parts."""
    having, given = conditions(where)
    limited, bounds = "", []
    if (told := in_spans(where)) is not None:
        limited = (
            " AND (trace_hi, trace_lo) IN (SELECT trace_hi, trace_lo FROM spans"  # noqa: S608  constants
            f" WHERE start_ns >= ? AND start_ns < ? AND {told[0]})"
        )
        bounds = [since_ns, until_ns + HOUR_NS, *told[1]]
    sql = (
        f"SELECT {chosen} FROM parts WHERE start_ns >= ?{limited} GROUP BY trace_hi, trace_lo"  # noqa: S608
        f" HAVING min(start_ns) < ? AND {having}"
    )
    return sql, [since_ns, *bounds, until_ns, *given]


_FIGURES: Final = f"""
    count(*), count_if(failed), coalesce(sum(cost), 0), sum(unpriced)::BIGINT, {_sum("asked")},
    {_sum("answered")}, quantile_cont(ms, [0.5, 0.95, 0.99])
"""


def rollups(where: TraceFilter, since_ns: int, until_ns: int, bucket_ns: int, by: str) -> Statement:
    """Bucket, group, then the figures of Rollup with the three quantiles as a list."""
    if by in ("model", "provider"):
        traces, given = _traces(where, since_ns, until_ns, "trace_hi, trace_lo")
        inner = f"""
            SELECT start_ns AS started, "{by}" AS part, error <> '' AS failed, cost_usd AS cost,
                (cost_usd IS NULL)::INTEGER AS unpriced, input_tokens AS asked, output_tokens AS answered,
                greatest(0, end_ns - start_ns) / 1e6 AS ms
            FROM spans WHERE start_ns >= ? AND model <> '' AND (trace_hi, trace_lo) IN ({traces})
        """  # noqa: S608  constants
        given = [since_ns, *given]
    else:
        part = f'max("{by}")' if by else "''"
        inner, given = _traces(
            where,
            since_ns,
            until_ns,
            f"min(start_ns) AS started, {part} AS part, {_ERROR} <> '' AS failed, sum(cost_usd) AS cost,"
            " sum(unpriced) AS unpriced, sum(input_tokens) AS asked, sum(output_tokens) AS answered,"
            " max(root_ms) AS ms",
        )
    width = int(bucket_ns)
    sql = f"SELECT started // {width} * {width} AS bucket, part, {_FIGURES} FROM ({inner}) GROUP BY ALL ORDER BY 1, 2"  # noqa: S608
    return sql, given


def measures(where: TraceFilter, since_ns: int, until_ns: int, limit: int) -> Statement:
    """The fields of Measure per trace, newest first."""
    inner, given = _traces(
        where,
        since_ns,
        until_ns,
        f"min(start_ns) AS started, {_DURATION_MS} AS ms, {_COST} AS cost, {_ERROR} <> '' AS failed",
    )
    return f"SELECT * FROM ({inner}) ORDER BY started DESC LIMIT {int(limit)}", given  # noqa: S608  constants


def values(column: str, where: TraceFilter, since_ns: int, until_ns: int) -> Statement:
    if column == "provider":
        traces, given = _traces(where, since_ns, until_ns, "trace_hi, trace_lo")
        inner = (
            f"SELECT provider AS part FROM spans WHERE start_ns >= ? AND (trace_hi, trace_lo) IN ({traces})"  # noqa: S608
        )
        given = [since_ns, *given]
    elif column == "model":
        inner, given = _traces(where, since_ns, until_ns, "string_agg(models, chr(10)) AS models")
        inner = f"SELECT unnest(list_distinct(string_split(models, chr(10)))) AS part FROM ({inner})"  # noqa: S608
    else:
        inner, given = _traces(where, since_ns, until_ns, f'max("{column}") AS part')
    return (
        f"SELECT part FROM ({inner}) WHERE part <> '' GROUP BY part ORDER BY count(*) DESC, part LIMIT 100",  # noqa: S608
        given,
    )


def forget(table: str, traces: str) -> str:
    return f"DELETE FROM {table} WHERE (trace_hi, trace_lo) IN ({traces})"  # noqa: S608  constants


def stored(traces: str) -> str:
    """Those of the traces that are there."""
    return f"SELECT DISTINCT trace_hi, trace_lo FROM parts WHERE (trace_hi, trace_lo) IN ({traces})"  # noqa: S608


def of_name(column: str) -> str:
    """Traces in which a span, or a part, has this user or session."""
    return " UNION ALL ".join(
        f'SELECT trace_hi, trace_lo FROM {table} WHERE "{column}" = ?'  # noqa: S608  constants
        for table in ("spans", "parts")
    )


OF_TRACE: Final = "SELECT ?::UBIGINT, ?::UBIGINT"
BEFORE: Final = "SELECT trace_hi, trace_lo FROM parts GROUP BY ALL HAVING max(start_ns) < ?"
"""Traces in which nothing has begun since."""
OF_FEATURE_BEFORE: Final = f"{BEFORE} AND bool_or(feature = ?)"
OF_OTHERS_BEFORE: Final = f"{BEFORE} AND NOT bool_or(list_contains(?, feature))"
USED_BYTES: Final = "SELECT block_size * used_blocks FROM pragma_database_size()"
AGE_AT: Final = "SELECT quantile_disc(start_ns, ?) FROM spans"
