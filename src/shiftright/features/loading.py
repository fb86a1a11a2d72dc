"""From a contract and a variant to something that can be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from shiftright.core.spec import Spec, Variant
from shiftright.errors import SpecError
from shiftright.features import signature
from shiftright.features.context import Context
from shiftright.features.current import named_variant
from shiftright.spec.checks import FUNCTION
from shiftright.spec.loading import RECORDED
from shiftright.usercode import isolation
from shiftright.usercode.program import command_line

Kind = Literal["function", "graph", "url", "command", "recorded", "prompt"]


class LoadedFeature(msgspec.Struct, frozen=True, eq=False):
    """A variant of a feature, ready for ``call``.

    ``invoke`` takes the case's value and gives the output, not yet plain; it is a plain function for threads where
    ``blocking``. ``module`` is the user's module, where there is one. ``close`` ends what a feature keeps open.
    ``repeats`` are those that a recording has answers of; None where nothing limits them.
    """

    spec: Spec
    variant: Variant
    kind: Kind
    invoke: Callable[[Any], Any]
    blocking: bool = False
    module: str | None = None
    output_type: Any = Any
    input_type: Any = Any
    closing: Callable[[], Any] | None = None
    repeats: frozenset[int] | None = None

    @property
    def recorded(self) -> bool:
        """Do its answers, or its model's, come from a file? They do not drift, and nobody can ask for more of them."""
        return self.kind == "recorded" or str(self.variant.get("model")).startswith(RECORDED)

    @property
    def run(self) -> str | None:
        return run_of(self.spec, self.variant)

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema of the declared output, for the ``schema`` scorer."""
        return signature.output_schema(self.output_type)

    async def close(self) -> None:
        """Close open connections; the feature can still be called."""
        if self.closing is not None:
            await self.closing()


def run_of(spec: Spec, variant: Variant) -> str | None:
    """The callable as the contract writes it; None for a prompt and its model."""
    return variant.run if variant.run is not None else spec.run


def load(spec: Spec, variant: Variant | str) -> LoadedFeature:
    """The feature with this variant's configuration.

    Raises:
        SpecError: the module, function, file or program is missing or broken, with file and line.
        UsageError: no such variant.
    """
    if isinstance(variant, str):
        variant = named_variant(spec, variant)
    run = run_of(spec, variant)
    if run is None:
        return _prompt(spec, variant)
    if run.startswith(RECORDED):
        return _recorded(spec, variant, run.removeprefix(RECORDED))
    if run.startswith(("http://", "https://")):
        from shiftright.features.remote import Remote

        remote = Remote(run, variant)
        return LoadedFeature(spec, variant, "url", remote.post, closing=remote.close)
    if FUNCTION.fullmatch(run):
        return _function(spec, variant, run)
    return _command(spec, variant, run)


def _function(spec: Spec, variant: Variant, run: str) -> LoadedFeature:
    found = isolation.load_object(run, spec.root, file=spec.path, line=run_line(spec, variant))
    module = run.partition(":")[0]
    if hasattr(found, "ainvoke") and not inspect.isroutine(found) and not isinstance(found, type):
        return LoadedFeature(spec, variant, "graph", found.ainvoke, module=module)
    if not callable(found):
        raise SpecError(
            f"run: {run} is a {type(found).__name__}, which cannot be called",
            file=spec.path,
            line=run_line(spec, variant),
            hint="Name a function, or a LangGraph graph.",
        )
    try:
        shape = signature.read(found)
        read_input = signature.reader(shape)
    except SpecError as cause:
        if cause.file is not None:
            raise
        where: dict[str, Any] = {"file": spec.path, "line": run_line(spec, variant)}
        raise SpecError(cause.message, hint=cause.hint, **where) from cause.__cause__
    function = found if shape.context is None else partial(found, **{shape.context: Context(variant)})
    return LoadedFeature(
        spec,
        variant,
        "function",
        lambda value: function(read_input(value)),
        blocking=not shape.is_async,
        module=module,
        output_type=shape.output_type,
        input_type=shape.input_type,
    )


def _prompt(spec: Spec, variant: Variant) -> LoadedFeature:
    model = variant.get("model")
    if isinstance(model, str) and model.startswith(RECORDED):
        return _recorded(spec, variant, model.removeprefix(RECORDED))
    from shiftright.features.prompted import Prompted

    prompted = Prompted(Context(variant), spec)
    return LoadedFeature(spec, variant, "prompt", prompted.answer)


def _recorded(spec: Spec, variant: Variant, name: str) -> LoadedFeature:
    from shiftright.features.recorded import Recording

    recording = Recording(variant.root / name)
    return LoadedFeature(spec, variant, "recorded", recording.answer, repeats=recording.repeats)


def _command(spec: Spec, variant: Variant, run: str) -> LoadedFeature:
    from shiftright.features.command import run_command

    argv = command_line(run, spec.root, file=spec.path, line=run_line(spec, variant))
    return LoadedFeature(spec, variant, "command", partial(run_command, argv, spec.root, variant.settings))


def run_line(spec: Spec, variant: Variant) -> int | None:
    """The line of the contract that says what is run."""
    run = run_of(spec, variant)
    try:
        lines = Path(spec.path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(
        (n for n, text in enumerate(lines, 1) if "run:" in text and run is not None and run in text), None
    )
