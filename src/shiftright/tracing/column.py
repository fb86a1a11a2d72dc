"""Spans as one compact column: how a stored answer keeps its trace."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from shiftright.core.answer import Span
from shiftright.errors import StoreError

_COMPRESS_ABOVE = 512
_UNPACKED_LIMIT = 64 * 1024 * 1024
# A msgpack array starts with 0x90–0x9f, 0xdc or 0xdd and a zlib stream with 0x78, so no marker byte is needed.
_ZLIB = 0x78

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Span, ...])


def pack(spans: Sequence[Span]) -> bytes:
    """Spans as msgpack, deflated when that pays. No spans are no bytes."""
    if not spans:
        return b""
    data = _encoder.encode(spans)
    return zlib.compress(data, 6) if len(data) > _COMPRESS_ABOVE else data


def unpack(data: bytes) -> tuple[Span, ...]:
    """The spans that ``pack`` packed.

    Raises:
        StoreError: when the bytes are damaged or not a trace.
    """
    if not data:
        return ()
    try:
        if data[0] == _ZLIB:
            inflater = zlib.decompressobj()
            data = inflater.decompress(data, _UNPACKED_LIMIT)
            if not inflater.eof:
                raise StoreError("a stored trace is cut off or larger than 64 MB")
        return _decoder.decode(data)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise StoreError(f"a stored trace cannot be read: {error}") from error
