"""A process that appends to the chain: ``release_writer.py URL FEATURE COUNT``. Prints after each record."""

from __future__ import annotations

import sys

from shiftright.store import open_records


def main(url: str, feature: str, count: int) -> None:
    with open_records(url) as records:
        for index in range(count):
            print(records.releases.append("promote", feature, f"d{index}", {}).number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
