"""One call of a loaded feature."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from shiftright import features
from shiftright.core.answer import Answer
from shiftright.features import LoadedFeature

Load = Callable[..., LoadedFeature]


def answer(loaded: LoadedFeature, value: Any, **options: Any) -> Answer:
    """One call in a loop of its own."""

    async def once() -> Answer:
        try:
            return await features.call(loaded, value, **{"case_id": "c1", **options})
        finally:
            await loaded.close()

    return asyncio.run(once())
