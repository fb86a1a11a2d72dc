"""Support triage: a customer's message in, the queue that can solve it out."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from shiftright import Context, feature


class Ticket(BaseModel):
    """What triage decides. The model can answer nothing else: its output is held to this type."""

    queue: Literal["identity", "exchange", "transfers", "security", "cards"]


@feature
async def triage(message: str, ctx: Context) -> Ticket:
    """Ask the variant's model. A variant with ``shots`` also shows it that many similar, solved messages."""
    shots = neighbours(message, ctx.variant.get("shots", 0))
    ticket: Ticket = await ctx.generate(output=Ticket, message=message, solved=shots)
    return ticket


@feature
def nearest(message: str, ctx: Context) -> Ticket:
    """No model at all: the most similar solved messages vote."""
    votes = Counter(queue for _, queue in neighbours(message, ctx.variant["votes"]))
    return Ticket.model_validate({"queue": votes.most_common(1)[0][0]})


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z']+", text.lower()))


LINES = (Path(__file__).parent / "train.jsonl").read_text(encoding="utf-8").splitlines()
SOLVED = [(row["input"], row["expected"]["queue"]) for row in map(json.loads, LINES)]
WORDS = [words(message) for message, _ in SOLVED]
# Rare words say more about a message than frequent ones.
RARITY = {w: math.log(1 + len(SOLVED) / (1 + n)) for w, n in Counter(w for ws in WORDS for w in ws).items()}
UNSEEN = math.log(1 + len(SOLVED))


def weight(some: frozenset[str]) -> float:
    return sum(RARITY.get(word, UNSEEN) for word in some)


WEIGHTS = [weight(each) for each in WORDS]


def neighbours(message: str, k: int) -> list[tuple[str, str]]:
    """The k solved messages that share the largest part of their words with this one, the most similar first."""
    mine = words(message)
    whole = weight(mine)
    shared = [weight(mine & other) for other in WORDS]
    overlap = [
        part / (whole + other - part) if part else 0.0 for part, other in zip(shared, WEIGHTS, strict=True)
    ]
    best = sorted(range(len(SOLVED)), key=lambda i: -overlap[i])[:k]
    return [SOLVED[i] for i in best]
