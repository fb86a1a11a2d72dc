"""``shiftright run``: one input through a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Feature, Json, VariantName
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.evals.single import SingleRun


def run(
    feature: Feature,
    input_: Annotated[
        str | None, typer.Option("--input", metavar="TEXT", help="The input: text, or a JSON object or list.")
    ] = None,
    case: Annotated[
        str | None, typer.Option("--case", metavar="ID", help="A case of the feature's files.")
    ] = None,
    variant: VariantName = None,
    json: Json = False,
) -> int:
    """Run one input: prompt, answer, checks, cost."""
    if (input_ is None) == (case is None):
        raise UsageError(
            "give one of --input and --case", hint=f"shiftright run {feature} --input 'some text'"
        )
    from shiftright.app import App, wait
    from shiftright.evals.single import run_one

    value = None if input_ is None else value_of(input_, "--input")
    with App.here() as app:
        found = wait(run_one(feature, app.settings, app.records, variant=variant, value=value, case_id=case))
    if json:
        _output.print_json(_as_document(found))
    else:
        _print(found)
    return _output.PASS if found.answer.failure is None else _output.FAIL


def value_of(given: str, option: str) -> Any:
    """``core.text.written``, except that what begins like an object or a list has to be one."""
    from shiftright.core.text import written

    value = written(given)
    if value is given and given.lstrip()[:1] in ("{", "["):
        raise UsageError(f"{option} begins like JSON but is none", hint="Quote it for the shell.")
    return value


def _as_document(found: SingleRun) -> dict[str, Any]:
    answer = found.answer
    return {
        "feature": found.feature,
        "variant": found.variant,
        "case": found.case.id if found.case.id != "input" else None,
        "input": found.case.value,
        "expected": found.case.expected,
        "output": answer.output,
        "failure": answer.failure,
        "prompts": found.prompts,
        "scores": found.scores,
        "usage": answer.usage,
        "cost_usd": answer.cost_usd,
        "latency_s": answer.latency_s,
        "model_calls": answer.model_calls,
        "cached_calls": answer.cached_calls,
    }


def _print(found: SingleRun) -> None:
    from rich.padding import Padding

    from shiftright.cli._screen import console, text
    from shiftright.core.counting import counted
    from shiftright.evals.report.visible import shown

    screen = console()
    answer = found.answer
    screen.print(text(f"{found.feature} · {found.variant}", "bold"))
    for messages in found.prompts:
        screen.print(text("prompt", "dim"))
        for role, content in _messages(messages):
            screen.print(Padding(text(f"{role}: {content}", "dim"), (0, 0, 0, 2), expand=False))
    screen.print(text("input", "dim"))
    screen.print(Padding(text(shown(found.case.value)), (0, 0, 0, 2), expand=False))
    if answer.failure is not None:
        screen.print(text(f"✗ failed ({answer.failure.kind})", "red"))
        screen.print(Padding(text(answer.failure.message), (0, 0, 0, 2), expand=False))
    else:
        screen.print(text("answer", "dim"))
        screen.print(Padding(text(shown(answer.output), "bold"), (0, 0, 0, 2), expand=False))
    if found.case.expected is not None:
        screen.print(text("expected", "dim"))
        screen.print(Padding(text(shown(found.case.expected)), (0, 0, 0, 2), expand=False))
    for name, score in found.scores.items():
        value = "not measured" if score.value is None else f"{score.value:.4g}"
        why = score.failure or score.explanation or score.label or ""
        screen.print(text(f"  {name}: {value}") + text(f"  {why}", "dim"))
    cost = "cost unknown (no price)" if answer.cost_usd is None else f"{answer.cost_usd:.4g} USD"
    calls = counted(answer.model_calls, "model call")
    if answer.cached_calls:
        calls += f" + {answer.cached_calls} from the cache"
    screen.print(text(f"{answer.latency_s:.3g} s · {calls} · {cost}", "dim"))


def _messages(recorded: Any) -> list[tuple[str, str]]:
    """(role, text) of OpenTelemetry's messages, whose parts hold the text; other shapes as they are."""
    import msgspec

    from shiftright.evals.report.visible import shown

    if isinstance(recorded, str):
        try:
            recorded = msgspec.json.decode(recorded)
        except msgspec.DecodeError:
            return [("text", shown(recorded))]
    if not isinstance(recorded, list):
        return [("text", shown(recorded))]
    said = []
    for message in recorded:
        parts = message.get("parts") if isinstance(message, dict) else None
        if isinstance(parts, list):
            texts = [
                str(part.get("content", shown(part))) if isinstance(part, dict) else shown(part)
                for part in parts
            ]
            said.append((str(message.get("role", "")), shown("\n".join(texts))))
        else:
            said.append(("", shown(message)))
    return said
