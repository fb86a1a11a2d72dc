"""A process that writes: ``store_writer.py URL RUN DECISION FLUSHES SIZE``. Prints after each flush."""

from __future__ import annotations

import sys

from store_rows import consumed, decision, run_case, stored

from shiftright.store import open_records


def main(url: str, run: str, decision_id: str, flushes: int, size: int) -> None:
    with open_records(url) as records:
        if records.ledger.get(decision_id) is None:
            records.ledger.create(decision(decision_id, key=decision_id))
        start = len(records.ledger.consumed(decision_id))
        for first in range(start, start + flushes * size, size):
            part = range(first, first + size)
            records.write(
                answers=[stored(f"i{n}", variant=run) for n in part],
                cases=[run_case(n, run) for n in part],
                consumed=[consumed(n, decision_id) for n in part],
            )
            print(first, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
