"""The project's server, for commands that need one to take what they bring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shiftright.app import App, Served


@asynccontextmanager
async def server(app: App) -> AsyncIterator[str]:
    """The URL of the project's server that is up, else of one for as long as the block runs."""
    from shiftright.tracing.handover import answering_owner

    if (url := await asyncio.to_thread(answering_owner, app.settings.home)) is not None:
        yield url
        return
    ending = asyncio.Event()
    ready: asyncio.Future[Served] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(app.serve("127.0.0.1", 0, ready.set_result, ending))
    await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    try:
        yield (await ready).url
    finally:
        ending.set()
        await serving
