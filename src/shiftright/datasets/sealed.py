"""Cases that only a key opens: what stands in the repository is their encryption.

A sealed file is a line that says so and which key fits, then one Fernet token (AES-128-CBC with HMAC-SHA256, of the
package cryptography) of the gzipped file. Cases from it have ids, groups and digests that say nothing without the key,
no tags and no source, and are marked: nothing of what they say is written down (docs/decisions/sealed-cases.md).
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shiftright.core.case import Case
from shiftright.errors import CredentialsError, DatasetError, MissingDependency, UsageError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SUFFIX = ".sealed"
VARIABLE = "SHIFTRIGHT_SEAL_KEY"
_MAGIC = b"shiftright sealed 1"


def new_key() -> str:
    """A key for ``SHIFTRIGHT_SEAL_KEY``: 32 random bytes, URL-safe base64."""
    _library()
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def seal(data: bytes) -> bytes:
    """The bytes of a file of cases as those of a sealed one.

    Raises:
        CredentialsError: without a key.
    """
    key = _key(None)
    token = _fernet(key).encrypt(gzip.compress(data, mtime=0))
    return _MAGIC + b" " + _fitting(key) + b"\n" + token + b"\n"


def opened(data: bytes, file: Path) -> bytes:
    """What was sealed.

    Raises:
        CredentialsError: without the key, or with another one than it was sealed with.
        DatasetError: for what is no sealed file, or was changed since.
    """
    head, _, token = data.partition(b"\n")
    magic, _, fitting = head.rpartition(b" ")
    if magic != _MAGIC:
        raise DatasetError("is no sealed file", file=file, hint="Seal it: shiftright seal FILE")
    key = _key(file)
    if not hmac.compare_digest(fitting, _fitting(key)):
        raise CredentialsError(
            f"{VARIABLE} is not the key that these cases were sealed with",
            file=file,
            hint="Give CI the key they were sealed with, or seal them anew: shiftright seal FILE",
        )
    from cryptography.fernet import InvalidToken

    try:
        return gzip.decompress(_fernet(key).decrypt(token.strip()))
    except InvalidToken:
        raise DatasetError(
            "was changed after it was sealed", file=file, hint="Restore it from git, or seal the cases anew."
        ) from None


def veiled(cases: Sequence[Case]) -> list[Case]:
    """The same cases with names and digests that nobody can guess an input from, even by trying many."""
    secret = _key(None).encode()

    def veil(kind: str, text: str) -> str:
        return hmac.new(secret, f"{kind}:{text}".encode(), hashlib.blake2b).hexdigest()[:32]

    return [
        msgspec.structs.replace(
            case,
            id=f"sealed-{veil('id', case.id)[:12]}",
            tags=(),
            group=None if case.group is None else f"sealed-{veil('group', case.group)[:12]}",
            source=None,
            input_digest=veil("input", case.input_digest),
            digest=veil("case", case.digest),
            sealed=True,
        )
        for case in cases
    ]


def _key(file: Path | None) -> str:
    key = os.environ.get(VARIABLE, "").strip()
    if not key:
        raise CredentialsError(
            f"these cases are sealed, and {VARIABLE} is not set" if file else f"{VARIABLE} is not set",
            file=file,
            hint="Only CI has the key. A new one, for new cases: shiftright seal --keygen",
        )
    return key


def _fernet(key: str) -> Fernet:
    _library()
    from cryptography.fernet import Fernet

    try:
        return Fernet(key)
    except ValueError:
        raise UsageError(
            f"{VARIABLE} is no key: 32 bytes in URL-safe base64", hint="Make one: shiftright seal --keygen"
        ) from None


def _fitting(key: str) -> bytes:
    """Tells keys apart without telling anything about them."""
    return hashlib.blake2b(key.encode(), digest_size=8, person=b"shiftright").hexdigest().encode()


def _library() -> None:
    try:
        import cryptography.fernet  # noqa: F401
    except ImportError:
        raise MissingDependency(
            "sealed cases need the package cryptography", hint="pip install 'shiftright[seal]'"
        ) from None
