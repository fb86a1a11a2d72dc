"""Members of a zip file with bounds, Zstandard ones included (Python before 3.14 cannot read those)."""

from __future__ import annotations

import zipfile
import zlib
from typing import Any

from shiftright.datasets.result_files.source import Source
from shiftright.errors import MissingDependency

MAX_MEMBER_BYTES = 100_000_000
MAX_TOTAL_BYTES = 1_000_000_000
_ZSTANDARD = 93


class Budget:
    """Bytes that one archive may still unpack to."""

    def __init__(self) -> None:
        self.left = MAX_TOTAL_BYTES


def read(archive: zipfile.ZipFile, name: str, source: Source, budget: Budget) -> bytes:
    """One member, unpacked no further than the bounds.

    Raises:
        DatasetError: over 100 MB, over 1 GB together, or damaged.
        MissingDependency: for Zstandard without the ``zstandard`` package.
    """
    limit = min(MAX_MEMBER_BYTES, budget.left)
    info = archive.getinfo(name)
    try:
        if info.compress_type == _ZSTANDARD:
            data = _zstandard(_packed(archive, info), limit + 1, source)
        else:
            with archive.open(info) as member:
                data = member.read(limit + 1)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as cause:
        raise source.error(f"has a damaged member {name!r}: {cause}") from None
    if len(data) > limit:
        bound = f"{MAX_MEMBER_BYTES:,} bytes a member and {MAX_TOTAL_BYTES:,} together"
        raise source.error(
            f"unpacks {name!r} to more than is read ({bound})", hint="Is this a log of an evaluation?"
        )
    if info.compress_type == _ZSTANDARD and zlib.crc32(data) != info.CRC:
        raise source.error(f"has a damaged member {name!r}: wrong checksum")
    budget.left -= len(data)
    return data


def _packed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The member's compressed bytes: they follow a local header of 30 bytes, the name and an extra field."""
    stream = archive.fp
    assert stream is not None
    stream.seek(info.header_offset)
    head = stream.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("no local header")
    skip = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    stream.seek(info.header_offset + 30 + skip)
    return stream.read(info.compress_size)


def _zstandard(packed: bytes, limit: int, source: Source) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise MissingDependency(
            "this log is packed with Zstandard", file=source.path, hint="pip install zstandard"
        ) from None
    reader: Any = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    try:
        return bytes(reader.read(limit))
    except zstandard.ZstdError as cause:
        raise zipfile.BadZipFile(str(cause)) from None
