"""What redaction costs per KB of stored text, on text without and with something to take out.

python benchmarks/redaction.py
"""

from __future__ import annotations

import json
import time

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


def main() -> None:
    secrets, everything = Redaction(), Redaction(["email", "phone", "card", "iban"])
    for name, redaction in (("secrets", secrets), ("all kinds", everything)):
        for kind, text in (("nothing found", CLEAN), ("something found", FOUND)):
            cost = per_kb(redaction, text)
            print(f"{cost / LIMIT_US_PER_KB:5.2f} of the limit: {cost:5.1f} µs/KB, {name}, {kind}")


if __name__ == "__main__":
    main()
