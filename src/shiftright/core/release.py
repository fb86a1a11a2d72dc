"""A Release: an immutable variant, named by what it consists of, and the records of what was decided about it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

import msgspec

from shiftright.core.case import digest_of

RecordKind = Literal["release", "sign_off", "override", "promote", "back"]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What serves users under this digest, whatever the contract's files say later.

    ``settings`` and ``run`` are the variant's; ``files`` holds the text of the files its settings name, by the path
    they give (large and binary ones stay where they are, and are known by ``code``). ``code`` is the digest of code and
    settings together (``features.identity``), ``commit`` a git commit that has all of it, "" where none has.
    ``snapshot`` is the model version that the provider said it answered with, None where it said none. ``contract`` is
    the contract's digest; ``checks``, ``confidence``, ``splits`` (of the cases) and ``sign_off`` are what it asked
    for, so that a later contract can be told from a looser one.
    """

    feature: str
    variant: str
    run: str | None
    settings: dict[str, Any]
    files: dict[str, str]
    code: str
    commit: str
    snapshot: str | None
    contract: str
    checks: tuple[dict[str, Any], ...]
    confidence: dict[str, float]
    splits: tuple[str, ...] = ()
    sign_off: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Over everything but the commit: the same content at another commit is the same release."""
        parts = msgspec.to_builtins(self)
        del parts["commit"]
        return digest_of(parts)

    @property
    def model(self) -> str:
        """The model it names, "" where it is plain code."""
        return str(self.settings.get("model", ""))


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain: what was decided about a release, sealed over itself and the record before it.

    ``body`` and ``personal`` are the JSON text that was sealed, not its meaning: a text that says the same in other
    words is another one. ``number`` counts from 1 without gaps over all features; ``previous`` is the ``record`` of the
    one before, "" of the first. ``personal`` holds who and why and a salt; it is None once erased, and only its digest
    is sealed. ``signature`` is over ``record``.
    """

    number: int
    kind: RecordKind
    feature: str
    digest: str
    body: str
    personal: str | None
    personal_digest: str
    at: float
    previous: str
    record: str = ""
    signature: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The body as data."""
        return msgspec.json.decode(self.body, type=dict[str, Any])

    @property
    def by(self) -> str:
        """Who did it; "" where nobody was named, or the name was erased."""
        return self._said("by")

    @property
    def reason(self) -> str:
        """Why, in words; "" where none were given, or they were erased."""
        return self._said("reason")

    @property
    def seal(self) -> str:
        """What ``record`` has to be: SHA-256 over every column but the erasable text and the signature."""
        sealed = (
            self.number,
            self.kind,
            self.feature,
            self.digest,
            self.body,
            self.personal_digest,
            self.at,
            self.previous,
        )
        return sha256(msgspec.json.encode(sealed)).hexdigest()

    def _said(self, key: str) -> str:
        if self.personal is None:
            return ""
        return msgspec.json.decode(self.personal, type=dict[str, str])[key]
