"""What redaction costs per KB of stored text, on text without and with something to take out.

    python benchmarks/redaction.py

Exits 1 above 20 µs a KB.
"""

from __future__ import annotations

import json
import sys
import time

from heading import header
from shiftright.tracing.redaction import Redaction

LIMIT_US_PER_KB = 20.0
SENTENCE = "Where is my parcel 10442? It was due on Tuesday, and the shop at 12 High Street has not seen it. "
CLEAN = json.dumps([{"role": "user", "content": SENTENCE * 10}])
FOUND = json.dumps(
    [{"role": "user", "content": SENTENCE * 10 + "Write to ann@example.com, 4111 1111 1111 1111."}]
)


def per_kb(redaction: Redaction, text: str) -> float:
    """Microseconds of CPU, the best of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(2_000):
            redaction.json_or_text(text)
        rounds.append((time.process_time() - began) / 2_000 * 1e6 / (len(text) / 1024))
    return min(rounds)


def main() -> int:
    kinds = {"secrets": Redaction(), "all kinds": Redaction(["email", "phone", "card", "iban"])}
    print(header("Redaction"))
    print(f"| taken out | text | ÷ {LIMIT_US_PER_KB:g} µs/KB | CPU µs/KB |\n|---|---|---:|---:|")
    worst = 0.0
    for name, redaction in kinds.items():
        for kind, text in (("nothing found", CLEAN), ("something found", FOUND)):
            cost = per_kb(redaction, text)
            worst = max(worst, cost)
            print(f"| {name} | {kind} | {cost / LIMIT_US_PER_KB:.2f} | {cost:.1f} |")
    print("\nA bound is broken." if worst > LIMIT_US_PER_KB else "\nEvery bound holds.")
    return int(worst > LIMIT_US_PER_KB)


if __name__ == "__main__":
    sys.exit(main())
