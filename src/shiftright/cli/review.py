"""``shiftright review``: what waits for a person, and what the person says of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json, OfFeature
from shiftright.cli._person import user
from shiftright.cli._telemetry import has_traces, traces_of
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.improve.reviews import ReviewGroup
    from shiftright.store.rows import ReviewRow
    from shiftright.tracing.exchange import Lookup

GROUPS_SHOWN = 20

Id = Annotated[str, typer.Argument(metavar="ID", help="The review's id, or its beginning.")]
Reviewer = Annotated[
    str | None, typer.Option("--reviewer", metavar="NAME", help="Who says it; default: your user name.")
]
Correction = Annotated[
    str | None,
    typer.Option(
        "--correction",
        metavar="TEXT",
        help="The right answer, text or JSON: it becomes a case that must pass.",
    ),
]
ConsentOption = Annotated[
    str | None,
    typer.Option(
        "--consent",
        metavar="WHY",
        help="Why the case may be kept: `given` by the user, or `not_needed`: nothing in it is about a person.",
    ),
]

review = typer.Typer(help="Reviews: list, show, resolve; compare variants blindly.", rich_markup_mode=None)


@review.callback(invoke_without_command=True)
def _default(context: typer.Context, feature: OfFeature = None, json: Json = False) -> int:
    if context.invoked_subcommand is not None:
        if feature or json:
            raise UsageError(f"options come after {context.invoked_subcommand!r}")
        return _output.PASS
    return list_(feature, json=json)


@review.command("list")
def list_(
    feature: OfFeature = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Of this kind only.")] = None,
    json: Json = False,
) -> int:
    """List what waits, grouped by feature, kind and likeness."""
    from shiftright.app import App
    from shiftright.improve.reviews import queue

    with App.here() as app, _lookup(app) as lookup:
        groups = queue(app.records, lookup, feature=feature, kind=_kind(kind)) if app.has_records else ()
    if json:
        _output.print_json({"groups": [_group(group) for group in groups]})
    elif not groups:
        _output.say("nothing waits for a review")
    else:
        _print_groups(groups)
    return _output.PASS


@review.command("show")
def show(review_id: Id, json: Json = False) -> int:
    """Show one review: input, answer, what was said of it."""
    from shiftright.app import App

    with App.here() as app, _lookup(app) as lookup:
        document = _document(app, lookup, review_id)
    if json:
        _output.print_json(document)
    else:
        _print(document)
    return _output.PASS


@review.command("resolve")
def resolve(
    review_id: Id,
    choice: Annotated[
        str, typer.Argument(metavar="CHOICE", help="1, 2 or 3, or the word that `show` gives for it.")
    ],
    correction: Correction = None,
    consent: ConsentOption = None,
    comment: Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Why.")] = None,
    reviewer: Reviewer = None,
    json: Json = False,
) -> int:
    """Say what is true of it. A correction becomes a case that the next eval has to pass."""
    from shiftright.app import App

    with App.here() as app:
        _resolve(app, review_id, choice, reviewer, correction, consent, comment, as_json=json)
    return _output.PASS


@review.command("dismiss")
def dismiss(
    review_id: Id,
    comment: Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Why.")] = None,
    reviewer: Reviewer = None,
    json: Json = False,
) -> int:
    """Close it without a word on the answer."""
    from shiftright.app import App
    from shiftright.improve import reviews

    with App.here() as app:
        closed = reviews.dismiss(app.records, review_id, reviewer or user("--reviewer"), comment)
    if json:
        _output.print_json({"review": closed})
    else:
        _output.say(f"dismissed {closed.id}")
    return _output.PASS


@review.command("start")
def start(
    feature: OfFeature = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Of this kind only.")] = None,
    reviewer: Reviewer = None,
) -> int:
    """Go through what waits, one by one: 1, 2, 3, s to skip, q to end."""
    from shiftright.app import App
    from shiftright.improve.reviews import queue

    if not sys.stdin.isatty():
        raise UsageError("this needs a keyboard", hint="In scripts: shiftright review resolve ID CHOICE")
    with App.here() as app, _lookup(app) as lookup:
        waiting = [
            row
            for group in queue(app.records, lookup, feature=feature, kind=_kind(kind))
            for row in group.reviews
        ]
        for number, row in enumerate(waiting, 1):
            _output.say(f"{number} of {len(waiting)}")
            _print(_document(app, lookup, row.id))
            if not _asked(app, row, reviewer):
                break
        else:
            _output.say("nothing else waits")
    return _output.PASS


@review.command("label")
def label(
    feature: OfFeature = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most N traces.")] = 50,
    json: Json = False,
) -> int:
    """Ask people whether answers of recorded traces are right: one review per trace, drawn by hash."""
    from shiftright.app import App
    from shiftright.improve.reviews import ask_labels

    with App.here() as app, traces_of(app.settings) as telemetry:
        opened = ask_labels(app.records, telemetry, feature, limit=limit)
    if json:
        _output.print_json({"opened": [row.id for row in opened]})
    else:
        _output.say(f"{len(opened)} traces wait: shiftright review start")
    return _output.PASS


@review.command("pairs")
def pairs(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run of a variant against a baseline.")
    ] = None,
    feature: OfFeature = None,
    candidate: Annotated[
        str | None,
        typer.Option("--prefer", metavar="V", help="Instead of a run: live answers of this variant …"),
    ] = None,
    baseline: Annotated[str | None, typer.Option("--to", metavar="B", help="… and of that one.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most N pairs.")] = 30,
    json: Json = False,
) -> int:
    """Ask people which of two answers is better, blindly: one review per input on which they differ."""
    from shiftright.app import App
    from shiftright.improve import preference

    with App.here() as app:
        if run is not None:
            feature, candidate, baseline, found = preference.pairs_of_run(app.settings, app.records, run)
        elif feature and candidate and baseline:
            with traces_of(app.settings) as telemetry:
                found = preference.pairs_of_traces(telemetry, feature, candidate, baseline)
        else:
            raise UsageError("which answers?", hint="Name a RUN, or give --feature F --prefer V --to B.")
        opened = preference.ask(app.records, feature, candidate, baseline, found, limit=limit)
    if json:
        _output.print_json({"opened": [row.id for row in opened]})
    else:
        _output.say(
            f"{len(opened)} pairs wait: shiftright review start --feature {feature} --kind preference"
        )
        _output.say(f"the result: shiftright review figures {feature} --prefer {candidate} --to {baseline}")
    return _output.PASS


@review.command("figures")
def figures(
    feature: Annotated[str, typer.Argument(metavar="F", help="The feature's name.")],
    candidate: Annotated[
        str | None, typer.Option("--prefer", metavar="V", help="How often is this variant preferred …")
    ] = None,
    baseline: Annotated[str | None, typer.Option("--to", metavar="B", help="… to that one.")] = None,
    json: Json = False,
) -> int:
    """Say how far two reviewers agree, how many labels are missing, which variant people prefer."""
    if (candidate is None) != (baseline is None):
        raise UsageError("give both --prefer and --to", hint="--prefer CANDIDATE --to BASELINE")
    from shiftright.app import App
    from shiftright.improve.agreement import agreement, labels_missing
    from shiftright.improve.preference import preference

    with App.here() as app:
        agree = agreement(app.records, feature)
        missing = labels_missing(app.settings, app.records, feature)
        preferred = preference(app.records, feature, candidate, baseline) if candidate and baseline else None
    if json:
        document = {
            "agreement": agree,
            "labels": missing,
            "missing": missing.missing,
            "preference": preferred,
        }
        _output.print_json(document)
    else:
        for line in (agree, missing, preferred):
            if line is not None:
                _output.say(str(line))
    return _output.PASS


@contextmanager
def _lookup(app: App) -> Iterator[Lookup]:
    """Traces by id; nothing where nothing has been recorded."""
    if not has_traces(app.settings):
        yield lambda trace_id: ()
        return
    with traces_of(app.settings) as telemetry:
        yield telemetry.trace


def _kind(given: str | None) -> Any:
    from typing import get_args

    from shiftright.store.rows import ReviewKind

    if given is not None and given not in get_args(ReviewKind):
        raise UsageError(f"there is no kind {given!r}", hint=f"Kinds: {', '.join(get_args(ReviewKind))}.")
    return given


def _group(group: ReviewGroup) -> dict[str, Any]:
    return {
        "feature": group.feature,
        "kind": group.kind,
        "title": group.title,
        "reviews": [row.id for row in group.reviews],
    }


def _print_groups(groups: tuple[ReviewGroup, ...]) -> None:
    from shiftright.evals.report.visible import short

    total = sum(len(group.reviews) for group in groups)
    _output.say(f"{total} {'waits' if total == 1 else 'wait'} for a review")
    for group in groups[:GROUPS_SHOWN]:
        owner = group.feature or "no feature"
        ids = group.reviews[0].id + (f" and {len(group.reviews) - 1} alike" if len(group.reviews) > 1 else "")
        _output.say(f"  {owner} · {group.kind} · {ids}")
        _output.say(f"    {short(group.title, 90)}")
    if len(groups) > GROUPS_SHOWN:
        _output.say(f"  … and {len(groups) - GROUPS_SHOWN} more groups: shiftright review list --json")
    _output.say("next: shiftright review start     or: shiftright review show ID")


def _document(app: App, lookup: Lookup, review_id: str) -> dict[str, Any]:
    from shiftright.improve.feedback import settle
    from shiftright.improve.reviews import choices, seen

    settle(app.records, lookup)
    row = app.records.reviews.get(review_id)
    said = app.records.feedback.of_trace(row.trace_id) if row.trace_id else ()
    hidden = row.kind == "preference" and row.status == "open"
    return {
        "id": row.id,
        "feature": row.feature,
        "kind": row.kind,
        "status": row.status,
        "trace_id": row.trace_id,
        "subject": seen(row),
        "feedback": said,
        "scores": () if hidden else app.records.scores.of_trace(row.trace_id or row.id),
        "choices": [{"word": each.word, "says": each.says} for each in choices(row.kind)],
        "resolution": row.resolution,
        "reviewer": row.reviewer,
    }


def _print(document: dict[str, Any]) -> None:
    from shiftright.cli._cases import print_lines
    from shiftright.cli._screen import console, text

    screen = console()
    owner = document["feature"] or "no feature"
    screen.print(text(f"{document['id']}  {owner} · {document['kind']} · {document['status']}", "bold"))
    subject = document["subject"]
    lines = [
        (name, subject[name])
        for name in ("input", "output", "left", "right", "error", "check")
        if subject.get(name) is not None
    ]
    for said in document["feedback"]:
        parts = (said.value is not None and f"{said.name} {said.value:g}", said.comment)
        lines.append(("a user said", " · ".join(str(part) for part in parts if part)))
        if said.correction is not None:
            lines.append(("would be right", said.correction))
    if document["resolution"] is not None:
        lines.append((f"by {document['reviewer']}", document["resolution"]))
    print_lines(screen, lines)
    if document["status"] == "open":
        for key, each in enumerate(document["choices"], 1):
            screen.print(text(f"    {key} {each['word']}") + text(f"   {each['says']}", "dim"))


def _asked(app: App, row: ReviewRow, reviewer: str | None) -> bool:
    """One review at the keyboard; False to end."""
    while True:
        key = typer.prompt("1, 2, 3, s skip, q end").strip().casefold()
        if key in ("q", "s"):
            return bool(key == "s")
        if key in ("1", "2", "3"):
            break
    correction = consent = None
    if row.kind != "preference" and key != "3":
        correction = _prompt("the right answer, for a case that must pass (empty: none)")
        if correction is not None and row.feature:
            asked = "may it be kept? g the user agreed, n nothing in it is about a person (empty: no)"
            consent = {"g": "given", "n": "not_needed"}.get(_prompt(asked) or "")
            correction = correction if consent else None
    _resolve(app, row.id, key, reviewer, correction, consent, None, as_json=False)
    return True


def _prompt(words: str) -> str | None:
    return str(typer.prompt(words, default="", show_default=False)).strip() or None


def _resolve(
    app: App,
    review_id: str,
    choice: str,
    reviewer: str | None,
    correction: str | None,
    consent: str | None,
    comment: str | None,
    *,
    as_json: bool,
) -> None:
    from shiftright.cli.run import value_of
    from shiftright.improve import reviews

    if consent not in (None, "given", "not_needed"):
        raise UsageError(f"--consent is `given` or `not_needed`, not {consent!r}")
    row = app.records.reviews.get(review_id)
    known = reviews.choices(row.kind)
    word = known[int(choice) - 1].word if choice in ("1", "2", "3") else choice
    done = reviews.resolve(
        app.records,
        app.settings,
        row.id,
        word,
        reviewer or user("--reviewer"),
        correction=None if correction is None else value_of(correction, "--correction"),
        consent=consent,  # type: ignore[arg-type]
        comment=comment,
    )
    if as_json:
        _output.print_json(done)
        return
    _output.say(f"{'second opinion on' if done.second else 'resolved'} {done.review.id}: {done.choice}")
    if done.case is not None:
        made = "added" if done.case.added else "there already"
        _output.say(f"  case {done.case.case.id} {made}: {done.case.file}")
        if done.case.edit:
            _output.say(f"  {done.case.edit}")
        _output.say(f"  next: shiftright eval {done.case.feature}     fails until it is fixed")
