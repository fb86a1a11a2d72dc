"""``shiftright release``: freeze a variant under a digest, with its evidence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Feature, Json, VariantName

if TYPE_CHECKING:
    from shiftright.ship.promotion import Gate, Override
    from shiftright.ship.releasing import Released


def release(
    feature: Feature,
    variant: VariantName = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who releases it; default: your user.")
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option("--sign", metavar="KEYFILE", help="Sign the record with this SSH key (Ed25519)."),
    ] = None,
    json: Json = False,
) -> int:
    """Freeze a variant with the evidence there is.

    Costs nothing and gives it to nobody: a rollout does, and needs the proof that is listed here where it is missing.
    """
    from shiftright.app import App
    from shiftright.cli._person import user
    from shiftright.ship import promotion, releasing
    from shiftright.ship.signatures import Signer

    signer = None if sign is None else Signer(sign)
    with App.here() as app:
        found = releasing.release(
            app.settings, app.records, feature, variant, by=by or user("--by"), signer=signer
        )
        gate = promotion.gate_of(found.standing, app.records)
        newest = app.records.releases.newest()
        assert newest is not None
    if json:
        _output.print_json(_document(found, gate, newest.record))
    else:
        _print(found, gate, newest.record)
    return _output.PASS


def _document(found: Released, gate: Gate, head: str) -> dict[str, Any]:
    now = found.standing
    return {
        "digest": found.record.digest,
        "head": head,
        "record": found.record.number,
        "new": found.new,
        "feature": now.release.feature,
        "variant": now.release.variant,
        "model": now.release.model,
        "snapshot": now.release.snapshot,
        "code": now.release.code,
        "commit": now.release.commit,
        "contract": now.release.contract,
        "at": found.record.at,
        "signed": found.record.signature is not None,
        "evidence": now.evidence,
        "looser": now.looser,
        "missing": gate.missing,
        "overrides": gate.overrides,
        "notes": now.notes,
    }


def _print(found: Released, gate: Gate, head: str) -> None:
    now = found.standing
    said = "released" if found.new else "released before, with the same evidence"
    _output.say(f"{now.release.feature} · {now.release.variant}: {said}")
    _output.say(f"  digest {found.record.digest}")
    model = now.release.snapshot or now.release.model
    parts = [
        f"model {model}" if model else "plain code",
        f"code {now.release.code[:12]}",
        f"commit {now.release.commit[:12]}" if now.release.commit else "no commit",
    ]
    _output.say(f"  {' · '.join(parts)}")
    _output.say(f"  evidence: {_evidence(found)}")
    for change in now.looser:
        _output.say(f"  ! looser than the stable release's contract: {change}")
    for line in override_lines(gate.overrides):
        _output.say(f"  {line}")
    for note in now.notes:
        _output.say(f"  note: {note}")
    if gate.missing:
        _output.say("  before it can reach users:")
    for need in gate.missing:
        _output.say(f"    {need.what}")
        _output.say(f"      {need.command}")
    _output.say(f"  head of the records: {head}")
    _output.say("    keep it elsewhere: shiftright verify --head DIGEST  finds a cut end by it")


def override_lines(overrides: tuple[Override, ...]) -> Iterator[str]:
    """Who let it pass without what was missing."""
    for each in overrides:
        day = time.strftime("%Y-%m-%d", time.localtime(each.at))
        who = each.by or "a name that was erased"
        yield f"! overridden on {day} by {who}: {each.reason or 'the reason was erased'}"
        for what in each.missing:
            yield f"    without: {what}"


def _evidence(found: Released) -> str:
    evidence = found.standing.evidence
    if evidence is None:
        return "none: nobody has evaluated it as it stands"
    verdict = evidence.verdict
    word = "undecided" if verdict is None else f"release: {verdict.verdict}, merge: {verdict.merge}"
    against = f" against {evidence.baseline}" if evidence.baseline else ""
    cost = "" if evidence.cost_usd is None else f", {evidence.cost_usd:.4f} USD"
    return f"{word}{against} on {evidence.cases:,} cases, {evidence.calls.made:,} calls{cost}"
