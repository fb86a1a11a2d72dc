"""``shiftright pull``: traces, labels and cases from where people have them already."""

from __future__ import annotations

import asyncio
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.cli.traces import Since
from shiftright.core.counting import counted
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.improve.pulling import Reader, Taken, Wanted

_SHOWN = 10


def pull(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Where from: langfuse, or a plugin's name.")
    ],
    feature: Annotated[
        str, typer.Option("--feature", metavar="F", help="File the traces under this feature; default: none.")
    ] = "",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Only traces of this name in the source.")
    ] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="The newest N traces.")] = 500,
    correct: Annotated[
        str | None,
        typer.Option(
            "--correct", metavar="SCORE", help="People's score there that says if an answer is right."
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="NAME", help="Take this dataset's cases instead of traces."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where cases go; default: NAME.jsonl.")
    ] = None,
    json: Json = False,
) -> int:
    """Take in traces with their scores, or a dataset's cases.

    Again takes only what is new. Keys are the source's own: LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY, LANGFUSE_HOST.
    """
    from shiftright import plugins
    from shiftright.app import App
    from shiftright.improve.pulling import Wanted, pull_cases
    from shiftright.web.moments import moment

    reader: Reader = plugins.load("readers", source)(os.environ)
    if dataset is not None:
        file = to or Path((re.sub(r"[^\w.-]+", "-", dataset).strip("-.") or "cases") + ".jsonl")
        taken = asyncio.run(pull_cases(reader, Wanted(dataset=dataset), file))
        return _told(taken, str(file), json)
    if to is not None:
        raise UsageError("--to is where cases go", hint="Add --dataset NAME.")
    wanted = Wanted(feature=feature, name=name, since_ns=moment(since), limit=limit)
    with App.here() as app:
        taken = asyncio.run(_traces(app, reader, wanted, correct))
    return _told(taken, None, json)


async def _traces(app: App, reader: Reader, wanted: Wanted, correct: str | None) -> Taken:
    from shiftright.cli._serving import server
    from shiftright.improve.pulling import pull_traces
    from shiftright.tracing.handover import hand_over

    # spans go in through the one door: redaction and counting happen there
    async with server(app):
        keep = partial(hand_over, home=app.settings.home, key=app.settings.key)
        return await pull_traces(reader, wanted, app.records, keep, correct=correct)


def _told(taken: Taken, file: str | None, as_json: bool) -> int:
    import msgspec

    if as_json:
        _output.print_json(msgspec.structs.asdict(taken) | {"file": file})
        return _output.PASS
    if file is not None:
        _output.say(f"wrote {counted(taken.cases, 'case')} to {file}")
        _output.say("they hold what users wrote: see that you may keep it")
    else:
        _output.say(
            f"{counted(taken.traces, 'trace')} with {counted(taken.spans, 'span')}, "
            f"{counted(taken.scores, 'new score')}"
        )
        _output.say("next:\n  shiftright traces\n  shiftright draft --feature NAME")
    for line in taken.left_out[:_SHOWN]:
        _output.tell(f"left out: {line}")
    if len(taken.left_out) > _SHOWN:
        _output.tell(f"left out: {len(taken.left_out) - _SHOWN} more (all with --json)")
    return _output.PASS
