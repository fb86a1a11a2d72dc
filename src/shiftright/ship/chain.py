"""Is the chain of releases what was written? Changed, missing and swapped records show; a cut tail needs its head.

The digests are ``core.release.Record``'s; why they are made as they are: docs/decisions/releases.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec

from shiftright.core.release import Record
from shiftright.ship import signatures

SIGNED_WITH = "key"
"""In a record's body: the fingerprint of the key that signed it, so that a signature cannot be taken off."""


class Broken(msgspec.Struct, frozen=True):
    """The first record that is not what was written, or not where it was. ``digest`` is its release's."""

    number: int
    why: str
    kind: str = ""
    feature: str = ""
    digest: str = ""


class Checked(msgspec.Struct, frozen=True):
    """What a walk over the chain found. ``head`` is the newest record, "" of an empty chain; ``records``, ``signed``
    and ``erased`` count what was sound before the break, if there is one."""

    records: int
    head: str
    signed: int
    erased: int
    broken: Broken | None = None


def verify(
    chain: Iterable[Record], *, head: str | None = None, signers: Mapping[str, str] | None = None
) -> Checked:
    """Walk the whole chain, oldest first, up to the first broken record.

    Args:
        head: a record's digest that was seen before (``release`` prints it): it has to be there.
        signers: names by key fingerprint. Signatures by other keys are broken, and so is the promotion of a release
            that none of them signed.
    """
    previous, numbers, signed, erased = "", 0, 0, 0
    seen, trusted = head is None, set[str]()
    for record in chain:
        why = _broken(record, numbers + 1, previous) or _unsigned(record, signers, trusted)
        if why is not None:
            named = Broken(numbers + 1, why, str(record.kind), str(record.feature), str(record.digest))
            return Checked(numbers, previous, signed, erased, named)
        previous, numbers = record.record, record.number
        seen = seen or record.record == head
        erased += record.personal is None
        if record.signature is not None:
            signed += 1
            trusted.add(record.digest)
    if seen:
        return Checked(numbers, previous, signed, erased)
    why = f"record {head} is not in the chain: its end was cut off, or it was written anew"
    return Checked(numbers, previous, signed, erased, Broken(numbers + 1, why))


def _broken(record: Record, number: int, previous: str) -> str | None:
    if record.number != number:
        return f"record {number} is missing: {record.number} comes next"
    if record.record != record.seal:
        return "it is not what its digest says: a column was changed"
    if record.previous != previous:
        return "it does not follow the record before it"
    personal = record.personal
    if personal is not None and (
        not isinstance(personal, str) or sha256(personal.encode()).hexdigest() != record.personal_digest
    ):
        return "who and why were changed"
    return None


def _unsigned(record: Record, signers: Mapping[str, str] | None, trusted: set[str]) -> str | None:
    try:
        key = record.content.get(SIGNED_WITH)
    except msgspec.DecodeError:
        return "its body is no JSON object"
    if record.signature is None:
        if key is not None:
            return "its signature was taken off"
        if signers is not None and record.kind == "promote" and record.digest not in trusted:
            return "it promotes a release that none of the allowed signers signed"
        return None
    found = signatures.check(record.record, record.signature) if isinstance(record.signature, str) else None
    if found is None or found != key:
        return "its signature is not of this record"
    if signers is not None and found not in signers:
        return f"it is signed with the key {found}, which is not allowed"
    return None
