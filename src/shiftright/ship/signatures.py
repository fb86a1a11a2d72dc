"""Signatures with an SSH key: what ``ssh-keygen -Y sign -n shiftright-release`` makes and ``-Y verify`` checks.

The format is OpenSSH's SSHSIG (PROTOCOL.sshsig in its source), with Ed25519 keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shiftright.errors import CredentialsError, MissingDependency, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMESPACE = "shiftright-release"
_MAGIC, _HASH, _KIND = b"SSHSIG", b"sha512", b"ssh-ed25519"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_SIGNERS_HINT = "A line is: NAME ssh-ed25519 AAAA…   (ssh-keygen's ALLOWED SIGNERS)"


class Signer:
    """A private key, ready to sign.

    Raises:
        CredentialsError: the file cannot be read, is no Ed25519 key of OpenSSH's form, or has a passphrase.
        MissingDependency: without the package ``cryptography``.
    """

    def __init__(self, file: Path) -> None:
        self._key = _private(file)
        raw = self._key.public_key().public_bytes_raw()
        self._public = _text(_KIND) + _text(raw)
        self.key = fingerprint(self._public)

    def sign(self, message: str) -> str:
        """An armored SSH signature of the text."""
        made = _text(_KIND) + _text(self._key.sign(_signed(message.encode())))
        head = _MAGIC + (1).to_bytes(4) + _text(self._public)
        blob = head + _text(NAMESPACE.encode()) + _text(b"") + _text(_HASH) + _text(made)
        return _armored(blob)


def check(message: str, signature: str) -> str | None:
    """The fingerprint of the key that signed this text; None where none has."""
    ed25519, invalid = _ed25519()
    try:
        parts = _parse(signature)
        public, (kind, made) = parts["public"], tuple(_strings(parts["made"]))
        key_kind, raw = tuple(_strings(public))
        others = (parts["namespace"], parts["reserved"])
        if kind != _KIND or key_kind != _KIND or others != (NAMESPACE.encode(), b""):
            return None
        ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(made, _signed(message.encode(), parts["hash"]))
    except (ValueError, KeyError, binascii.Error, invalid):
        return None
    return fingerprint(public)


def fingerprint(public: bytes) -> str:
    """As ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")


def allowed(file: Path) -> dict[str, str]:
    """Names by the fingerprint of their keys, from a file of OpenSSH's ALLOWED SIGNERS.

    Raises:
        UsageError: with file and line, for one that cannot be read, or asks for what is not supported here.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"allowed signers cannot be read: {error}", file=file, hint=_SIGNERS_HINT) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            found |= _allowed_line(line, file, number)
    return found


def _allowed_line(line: str, file: Path, number: int) -> dict[str, str]:
    try:
        name, *rest = shlex.split(line)
        at = next(i for i, word in enumerate(rest) if word.startswith(("ssh-", "ecdsa-", "sk-")))
        options, kind, public = rest[:at], rest[at], base64.b64decode(rest[at + 1], validate=True)
    except (ValueError, StopIteration, IndexError):
        raise UsageError(
            "not a line of allowed signers", file=file, line=number, hint=_SIGNERS_HINT
        ) from None
    if others := [option for option in options if not option.startswith("namespaces=")]:
        # a limit that is not understood must not be overlooked
        raise UsageError(
            f"the option {others[0]} is not supported", file=file, line=number, hint=_SIGNERS_HINT
        )
    spaces = [option.removeprefix("namespaces=").split(",") for option in options]
    if kind != _KIND.decode() or any(NAMESPACE not in names for names in spaces):
        return {}
    return {fingerprint(public): name}


def _signed(message: bytes, hash_name: bytes = _HASH) -> bytes:
    """What the key signs: not the text, but its hash under our namespace."""
    if hash_name not in (b"sha256", b"sha512"):
        raise ValueError("unknown hash")
    hashed = hashlib.new(hash_name.decode(), message).digest()
    return _MAGIC + _text(NAMESPACE.encode()) + _text(b"") + _text(hash_name) + _text(hashed)


def _armored(blob: bytes) -> str:
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[at : at + 70] for at in range(0, len(encoded), 70)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def _parse(armored: str) -> dict[str, bytes]:
    encoded = armored.removeprefix(_BEGIN).removesuffix(f"{_END}\n").replace("\n", "")
    blob = base64.b64decode(encoded, validate=True)
    # one signature, one text: another spelling of it would be a change that nobody sees
    if armored != _armored(blob) or blob[:10] != _MAGIC + (1).to_bytes(4):
        raise ValueError("no SSH signature of this version")
    names = ("public", "namespace", "reserved", "hash", "made")
    return dict(zip(names, _strings(blob[10:]), strict=True))


def _text(data: bytes) -> bytes:
    """A string of the SSH protocol."""
    return len(data).to_bytes(4) + data


def _strings(data: bytes) -> Iterator[bytes]:
    while data:
        size = int.from_bytes(data[:4])
        if len(data) < 4 + size:
            raise ValueError("cut off")
        yield data[4 : 4 + size]
        data = data[4 + size :]


def _private(file: Path) -> Ed25519PrivateKey:
    _ed25519()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    hint = "Make one: ssh-keygen -t ed25519 -f KEYFILE"
    try:
        key = load_ssh_private_key(file.read_bytes(), None)
    except OSError as error:
        raise CredentialsError(f"the key cannot be read: {error.strerror}", file=file, hint=hint) from None
    except TypeError:
        raise CredentialsError(
            "the key has a passphrase", file=file, hint="Use one without, kept where only CI can read it."
        ) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialsError(f"the key cannot be used: {error}", file=file, hint=hint) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CredentialsError("the key is not of the kind Ed25519", file=file, hint=hint)
    return key


def _ed25519() -> tuple[Any, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingDependency(
            "signatures need the package cryptography", hint="pip install 'shiftright[sign]'"
        ) from error
    return ed25519, InvalidSignature
