"""A feature that is a program: ``{"input": …, "variant": {…}}`` on its stdin, JSON on its stdout, no shell."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from shiftright.errors import FeatureError
from shiftright.features.remote import MAX_BYTES, decoded, excerpt


async def run_command(argv: Sequence[str], folder: Path, settings: Mapping[str, Any], value: Any) -> Any:
    """One call, one process. When the call is given up, the whole process group ends with it.

    Raises:
        FeatureError: a program that cannot be started, an exit status other than 0 (with the end of its stderr),
            output that is not JSON or longer than 10 MB.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as cause:
        raise FeatureError(f"{argv[0]} cannot be started: {cause.strerror or cause}") from cause
    request = msgspec.json.encode({"input": value, "variant": settings}) + b"\n"
    try:
        output, errors, _ = await asyncio.gather(
            _read(process.stdout, argv[0]), _read_end(process.stderr), _feed(process.stdin, request)
        )
        status = await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # First the pipes: a full one that nobody reads any more would never report its end, and wait() waits for it.
        process._transport.close()  # type: ignore[attr-defined]
        await process.wait()
    if status != 0:
        ended = f"exit status {status}" if status > 0 else f"signal {-status}"
        raise FeatureError(f"{argv[0]} ended with {ended}: {excerpt(errors[-1000:], 1000)}")
    return decoded(output, argv[0])


async def _feed(stdin: asyncio.StreamWriter | None, request: bytes) -> None:
    assert stdin is not None
    # A program may answer without reading its input to the end.
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(request)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _read(stdout: asyncio.StreamReader | None, name: str) -> bytes:
    assert stdout is not None
    output = bytearray()
    while part := await stdout.read(65536):
        output += part
        if len(output) > MAX_BYTES:
            raise FeatureError(f"{name} wrote more than {MAX_BYTES:,} bytes")
    return bytes(output)


async def _read_end(stderr: asyncio.StreamReader | None) -> bytes:
    assert stderr is not None
    end = b""
    while part := await stderr.read(65536):
        end = (end + part)[-4000:]
    return end
