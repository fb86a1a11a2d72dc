"""Cases whose text stands in a prompt: a model that has seen the exam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from shiftright.core.case import Case

MIN_CHARACTERS = 20
"""Shorter texts ("yes", "refund please") stand in prompts by chance."""


def leaks(prompt_text: str, cases: Iterable[Case]) -> list[Case]:
    """The cases whose longest input text stands in the prompt, white space and capitals aside."""
    prompt = _normal(prompt_text)
    found = []
    for case in cases:
        text = _normal(max(_texts(case.value), key=len, default=""))
        if len(text) >= MIN_CHARACTERS and text in prompt:
            found.append(case)
    return found


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
