"""``shiftright eval``: may this variant merge, may it be released?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import BaselineName, Concurrency, Feature, Json, MaxCalls, MaxCost, VariantName
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.core.verdict import CheckRow
    from shiftright.evals.options import EvalRun, Look, Options, Selection


def eval_(
    feature: Feature,
    variant: VariantName = None,
    baseline: BaselineName = None,
    max_calls: MaxCalls = None,
    max_cost_usd: MaxCost = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="K", min=1, help="Calls per case.")] = 1,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Look at the first N cases: no verdict.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="T", help="Look at the cases with this tag: no verdict.")
    ] = None,
    case: Annotated[
        str | None, typer.Option("--case", metavar="ID", help="Look at one case: no verdict.")
    ] = None,
    new_decision: Annotated[
        bool, typer.Option("--new-decision", help="Another attempt, numbered, at a smaller error rate.")
    ] = False,
    suite_mode: Annotated[
        bool,
        typer.Option("--suite-mode", help="Decide on these very cases, not on the traffic they stand for."),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show evidence, thresholds and error rates too.")
    ] = False,
    concurrency: Concurrency = None,
    json: Json = False,
) -> int:
    """Decide: may it merge, may it be released?

    Runs cases until the contract is decided. A stopped or capped run goes on where it stood; a decision that was
    made is not made again."""
    from shiftright.app import App, wait
    from shiftright.cli._expected import expected
    from shiftright.cli._progress import progress
    from shiftright.evals.options import Options, Selection

    options = Options.of(locals())
    selection = Selection(limit=limit, tag=tag, case_id=case)
    _refuse_mixed(selection, options)
    with App.here() as app:
        bar = progress(lambda: expected(app, feature, options))
        if selection:
            look = wait(app.look(feature, selection, options, bar))
            _show_look(app, look, as_json=json)
            return _output.INCONCLUSIVE
        run = wait(app.evaluate(feature, options, bar))
        _show_run(app, run, options, as_json=json, explain=explain)
    return _output.EXIT[run.verdict.verdict]


def _refuse_mixed(selection: Selection, options: Options) -> None:
    if selection and (options.new_decision or options.suite_mode):
        raise UsageError(
            "--limit, --tag and --case look at some cases and decide nothing",
            hint="Leave out --new-decision and --suite-mode, or leave out the selection.",
        )


def as_document(run: EvalRun) -> dict[str, Any]:
    """``eval --json``."""
    return {
        "feature": run.feature,
        "variant": run.variant,
        "baseline": run.baseline,
        "verdict": run.verdict.verdict,
        "merge": run.verdict.merge,
        "reasons": run.verdict.reasons,
        "checks": run.verdict.checks,
        "calls": run.calls,
        "cost_usd": run.cost_usd,
        "seconds": run.seconds,
        "run_id": run.run_id,
        "seed": run.seed,
        "estimand": run.estimand,
        "attempt": run.attempt,
        "stored": run.stored,
        "notes": run.notes,
    }


def _show_run(app: App, run: EvalRun, options: Options, *, as_json: bool, explain: bool) -> None:
    if as_json:
        _output.print_json(as_document(run))
        return
    from shiftright.cli._cases import print_changes, print_slices
    from shiftright.cli._progress import title
    from shiftright.cli._screen import console, text
    from shiftright.cli._verdict import calls_line, print_answers, print_evidence, print_rows

    screen = console()
    stored = " · decided before, nothing was run" if run.stored else ""
    screen.print(text(title(run.feature, run.variant, run.baseline), "bold") + text(stored, "dim"))
    screen.print()
    print_answers(screen, run.verdict.merge, run.verdict.verdict, run.verdict.reasons)
    print_rows(screen, run.verdict.checks)
    if explain:
        print_evidence(screen, run.verdict.checks)
        screen.print(text(_error_rates(app, run), "dim"))
        screen.print()
    report = _report(app, run)
    if report is not None:
        print_changes(screen, report)
        print_slices(screen, report)
    for note in run.notes:
        screen.print(text(f"note: {note}", "dim"))
    screen.print(text(calls_line(run.calls), "dim"))
    screen.print(
        text(f"{_cost(run.cost_usd)} · {run.seconds:.1f} s · run {run.run_id} · seed {run.seed}", "dim")
    )
    screen.print(text("next: ", "dim") + text(_what_next(run, options)))


def _report(app: App, run: EvalRun) -> Any:
    """The run's cases; None where the decision came with the lock, from another machine."""
    if run.run_id.startswith("d-"):
        return None
    return app.report(run.run_id)


def _show_look(app: App, look: Look, *, as_json: bool) -> None:
    if as_json:
        _output.print_json(
            {
                "feature": look.feature,
                "variant": look.variant,
                "baseline": look.baseline,
                "verdict": None,
                "merge": None,
                "checks": [_undecided(row) for row in look.checks],
                "calls": look.calls,
                "cost_usd": look.cost_usd,
                "seconds": look.seconds,
                "run_id": look.run_id,
                "seed": None,
                "cases": look.cases,
            }
        )
        return
    from shiftright.cli._cases import print_changes, print_slices
    from shiftright.cli._progress import title
    from shiftright.cli._screen import console, text
    from shiftright.cli._verdict import calls_line, print_rows
    from shiftright.core.counting import counted

    screen = console()
    screen.print(text(title(look.feature, look.variant, look.baseline), "bold"))
    screen.print(text(f"a look at {counted(look.cases)}: nothing is decided"))
    screen.print()
    print_rows(screen, look.checks, decided=False)
    report = app.report(look.run_id)
    print_changes(screen, report)
    print_slices(screen, report)
    screen.print(
        text(
            f"{calls_line(look.calls)} · {_cost(look.cost_usd)} · {look.seconds:.1f} s · run {look.run_id}",
            "dim",
        )
    )
    screen.print(text("next: ", "dim") + text(f"shiftright eval {look.feature} --variant {look.variant}"))


def _undecided(row: CheckRow) -> dict[str, Any]:
    import msgspec

    return {**msgspec.structs.asdict(row), "verdict": None}


def _cost(cost_usd: float | None) -> str:
    if cost_usd is None:
        return "cost unknown (no price)"
    return "no cost" if cost_usd == 0 else f"{cost_usd:.4g} USD"


def _error_rates(app: App, run: EvalRun) -> str:
    from shiftright import spec as specs
    from shiftright.decisions.clauses import attempt_alpha
    from shiftright.decisions.words import percent

    rates = specs.load(specs.find(run.feature, app.settings.root)).confidence
    ship = attempt_alpha(rates.wrong_ship, run.attempt)
    return (
        f"Error rates: a bad variant is released with probability at most {percent(ship)}, a good one is blocked "
        f"with at most {percent(rates.wrong_block)}, a harmless change is refused the merge with at most "
        f"{percent(rates.false_red)}."
    )


def _what_next(run: EvalRun, options: Options) -> str:
    if run.run_id.startswith("d-"):
        return "shiftright next"
    if run.verdict.verdict == "pass":
        return (
            f"git add shiftright.lock   (or look closer: shiftright report {run.run_id} --html report.html)"
        )
    if run.verdict.verdict == "fail" or run.verdict.merge == "no":
        return f"shiftright show {run.run_id}   (every case that broke)"
    if options.max_calls is not None or options.max_cost_usd is not None:
        return f"shiftright eval {run.feature} --variant {run.variant}   (goes on from here)"
    return f"shiftright plan {run.feature}   (what it takes to decide)"
