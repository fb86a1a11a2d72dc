"""How many calls may be under way at one provider at a time."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


def slot(provider: str, concurrency: int) -> asyncio.Semaphore:
    """The semaphore of one provider (name and base URL) in the running event loop: ``async with slot(…):``.

    Models of one provider share it; the first one's ``concurrency`` holds.
    """
    of_loop = _slots.setdefault(asyncio.get_running_loop(), {})
    found = of_loop.get(provider)
    if found is None:
        found = of_loop[provider] = asyncio.Semaphore(concurrency)
    return found
