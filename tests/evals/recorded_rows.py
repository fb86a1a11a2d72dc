"""Recorded runs for the comparison tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shiftright.datasets.result_files import ResultRow


def run(
    scores: Sequence[float], *, metric: str = "score", prefix: str = "case", **fields: Any
) -> list[ResultRow]:
    """One row per score, with ids and inputs counted from 0."""
    return [
        ResultRow(
            f"{prefix}-{i}",
            input=f"question {i}",
            output=f"answer {i}",
            scores={metric: float(score)},
            **fields,
        )
        for i, score in enumerate(scores)
    ]


def coin(rng: np.random.Generator, cases: int, rate: float) -> list[float]:
    return (rng.random(cases) < rate).astype(float).tolist()
