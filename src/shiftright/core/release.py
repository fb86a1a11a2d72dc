"""A Release: an immutable variant, named by what it consists of, and the records of what was decided about it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shiftright.core.case import digest_of

RecordKind = Literal["release", "sign_off", "override", "promote", "back"]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What serves users under this digest, whatever the contract's files say later.

    ``settings`` and ``run`` are the variant's; ``files`` holds the text of every file its settings name, by path
    relative to the contract. ``code`` is the digest of code and settings together (``features.identity``), ``commit``
    the git commit it was frozen at, "" outside of git. ``snapshot`` is the model version that the provider said it
    answered with, None where it said none. ``contract`` is the contract's digest, ``checks`` and ``confidence`` its
    clauses as data, so that a later contract can be told from a looser one.
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
