"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Feature = Annotated[
    str, typer.Argument(metavar="F", help="The feature's name, or the path of its spec.yaml.")
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]
OfFeature = Annotated[str | None, typer.Option("--feature", metavar="F", help="Of this feature only.")]
VariantName = Annotated[
    str | None, typer.Option("--variant", metavar="V", help="Which variant; not needed where there is one.")
]
BaselineName = Annotated[
    str | None,
    typer.Option("--baseline", metavar="B", help="Compare with this variant; default: the contract's."),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", min=1, help="Calls of the feature at a time."),
]
MaxCalls = Annotated[
    int | None,
    typer.Option("--max-calls", metavar="N", min=0, help="Stop (resumable) after N calls of the feature."),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", metavar="USD", min=0.0, help="Stop (resumable) before this much is spent."),
]
