"""The gate before users: a release is promoted on a stored *release: pass*, signed by whom the contract asks.

``gate`` says what is missing; ``override`` passes it for a reason, which stays visible wherever the release is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from shiftright.core.release import Record
from shiftright.errors import UsageError
from shiftright.settings import Settings
from shiftright.ship.loosened import OWNER
from shiftright.ship.releasing import Standing, recorded, standing
from shiftright.store import Records


class Missing(msgspec.Struct, frozen=True):
    """One thing that keeps a release from its users, and the command that gets it."""

    kind: Literal["release", "verdict", "sign_off"]
    what: str
    command: str


class Override(msgspec.Struct, frozen=True):
    """Somebody let a release pass without what was missing. ``by`` and ``reason`` are "" once erased."""

    at: float
    by: str
    reason: str
    missing: tuple[str, ...]


class Gate(msgspec.Struct, frozen=True):
    """May this variant, as it stands, be given to users? ``digest`` is of its newest record of kind ``release`` ("":
    it was not frozen); ``looser`` is what its contract lets pass that the stable release's did not."""

    feature: str
    variant: str
    digest: str
    standing: Standing
    missing: tuple[Missing, ...]
    overrides: tuple[Override, ...]

    @property
    def looser(self) -> tuple[str, ...]:
        return self.standing.looser

    @property
    def open(self) -> bool:
        """Is nothing missing, or was all that is missing overridden?"""
        passed = {what for override in self.overrides for what in override.missing}
        return all(need.what in passed for need in self.missing)


def gate(settings: Settings, records: Records, feature: str, variant: str | None = None) -> Gate:
    """What keeps the variant, as it stands, from being promoted.

    Raises:
        UsageError: for an unknown feature or variant.
        SpecError: when it cannot be loaded.
    """
    return gate_of(standing(settings, records, feature, variant), records)


def gate_of(now: Standing, records: Records) -> Gate:
    """The same of a variant whose standing is known."""
    kept = recorded(records, now.release)
    digest = "" if kept is None else kept.digest
    about = [record for record in records.releases.list(now.spec.feature) if record.digest == digest]
    missing = (*_unfrozen(now, digest), *_unproven(now), *_unsigned(now, about))
    return Gate(now.spec.feature, now.release.variant, digest, now, missing, overrides(about))


def override(records: Records, found: Gate, *, by: str, reason: str) -> Record:
    """Let a release pass without what is missing.

    Raises:
        UsageError: without a name or a reason, or for what was never frozen.
    """
    if not by.strip() or not reason.strip():
        raise UsageError(
            "an override needs a reason and a name", hint='Give both: --override "REASON" --by NAME'
        )
    if not found.digest:
        need = next(need for need in found.missing if need.kind == "release")
        raise UsageError(need.what, hint=f"First: {need.command}")
    missing = [need.what for need in found.missing]
    return records.releases.append(
        "override",
        found.feature,
        found.digest,
        {"missing": missing},
        by=by,
        reason=reason,
        same=lambda record: (
            record.content["missing"] == missing and (record.by, record.reason) == (by, reason)
        ),
    )


def sign(
    settings: Settings, records: Records, feature: str, variant: str | None, *, role: str, by: str
) -> Record:
    """A person agrees to the release of a variant as it stands, in one of the roles the contract asks; as ``owner``
    also to what its contract lets pass now.

    Raises:
        UsageError: the contract does not ask for that role, nobody is named, or the variant was not frozen.
    """
    now = standing(settings, records, feature, variant)
    name, chosen = now.spec.feature, now.release.variant
    roles = _roles(now)
    if role not in (*roles, OWNER):
        asked = ", ".join(dict.fromkeys((*roles, OWNER)))
        raise UsageError(f"{name} asks for no sign-off as {role!r}", hint=f"It knows: {asked}.")
    if not by.strip():
        raise UsageError("a sign-off needs a name", hint="Give it: --by NAME")
    kept = recorded(records, now.release)
    if kept is None:
        (need,) = _unfrozen(now, "")
        raise UsageError(need.what, hint=f"First: {need.command}")
    body = {"role": role, "variant": chosen, "looser": list(now.looser) if role == OWNER else []}
    return records.releases.append(
        "sign_off",
        name,
        kept.digest,
        body,
        by=by,
        same=lambda record: record.content == body and record.by == by,
    )


def promote(
    records: Records, feature: str, digest: str, *, rollout: str = "", by: str = "", reason: str = ""
) -> Record:
    """Record that this release serves everybody from now on; a second time for the same rollout changes nothing.

    The caller has asked ``gate`` (a rollout does when it starts).
    """
    records.releases.get(digest)
    body = {"rollout": rollout, "before": records.releases.stable(feature) or ""}
    same = (lambda record: record.content.get("rollout") == rollout) if rollout else None
    return records.releases.append("promote", feature, digest, body, by=by, reason=reason, same=same)


def overrides(chain: Iterable[Record], digest: str | None = None) -> tuple[Override, ...]:
    """The overrides among these records (of one release, where ``digest`` is given), oldest first."""
    return tuple(
        Override(record.at, record.by, record.reason, tuple(record.content["missing"]))
        for record in chain
        if record.kind == "override" and digest in (None, record.digest)
    )


class Kept(msgspec.Struct, frozen=True):
    """A release as it is shown wherever its code is: ``stable`` where it serves everybody; what its contract let pass
    when it was recorded, and who let it pass without proof."""

    digest: str
    variant: str
    at: float
    stable: bool
    looser: tuple[str, ...]
    overrides: tuple[Override, ...]


def releases_of(records: Records, feature: str, code: str) -> tuple[Kept, ...]:
    """The releases of this code, oldest first."""
    chain, stable = records.releases.list(feature), records.releases.stable(feature)
    frozen = {r.digest: r for r in chain if r.kind == "release" and r.content["release"]["code"] == code}
    return tuple(
        Kept(
            digest,
            record.content["release"]["variant"],
            record.at,
            digest == stable,
            tuple(record.content["looser"]),
            overrides(chain, digest),
        )
        for digest, record in frozen.items()
    )


def _unfrozen(now: Standing, digest: str) -> Iterator[Missing]:
    if not digest:
        name, variant = now.spec.feature, now.release.variant
        command = f"shiftright release {name} --variant {variant}"
        yield Missing("release", f"{name} · {variant} was not released as it stands", command)


def _unproven(now: Standing) -> Iterator[Missing]:
    found, name = now.evidence, f"{now.spec.feature} --variant {now.release.variant}"
    again, plan = f"shiftright eval {name}", f"shiftright plan {now.spec.feature}"
    if found is None or found.verdict is None:
        said = next(iter(now.notes), "no eval has decided it on the gate cases there are")
        yield Missing("verdict", f"release: not evaluated: {said}", again)
    elif found.baseline_digest != now.baseline:
        against = found.baseline or "nothing"
        yield Missing(
            "verdict", f"release: decided against {against}, which is not the baseline any more", again
        )
    elif not found.must_passed:
        yield Missing("verdict", "release: the must cases have changed since it was decided", again)
    elif (found.verdict.verdict, found.verdict.merge) != ("pass", "yes"):
        because = f": {found.verdict.reasons[0]}" if found.verdict.reasons else ""
        word = found.verdict.verdict if found.verdict.verdict != "pass" else "pass, merge: no"
        command = plan if found.verdict.verdict == "inconclusive" else again
        yield Missing("verdict", f"release: {word}{because}", command)


def _unsigned(now: Standing, about: Iterable[Record]) -> Iterator[Missing]:
    signed: dict[str, set[str]] = {}
    for record in about:
        if record.kind == "sign_off":
            signed.setdefault(record.content["role"], set()).update(record.content["looser"])
    command = f"shiftright sign {now.spec.feature} --variant {now.release.variant}"
    for role in _roles(now):
        if role not in signed:
            yield Missing("sign_off", f"{role} has not signed", f"{command} --as {role} --by NAME")
    unseen = [change for change in now.looser if change not in signed.get(OWNER, ())]
    if unseen:
        what = f"the contract is looser than the stable release's, and its owner has not signed: {'; '.join(unseen)}"
        yield Missing("sign_off", what, f"{command} --as {OWNER} --by NAME")


def _roles(now: Standing) -> tuple[str, ...]:
    return tuple(now.spec.owner.get("sign_off", ()))
