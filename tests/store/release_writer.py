"""A process that appends to the chain: ``release_writer.py URL FEATURE COUNT [once]``. Prints after each record.

With ``once`` all its records are the same one.
"""

from __future__ import annotations

import sys

from shiftright.store import open_records


def main(url: str, feature: str, count: int, once: bool) -> None:
    same = (lambda record: True) if once else None
    with open_records(url) as records:
        for index in range(count):
            digest = "d" if once else f"d{index}"
            print(records.releases.append("promote", feature, digest, {}, same=same).number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "once" in sys.argv)
