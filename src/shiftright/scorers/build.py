"""From a check of the contract to its scorer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from shiftright import plugins
from shiftright.core.case import digest_of
from shiftright.core.seams import Scorer
from shiftright.core.spec import Check, Spec
from shiftright.errors import SpecError, UsageError
from shiftright.scorers.evaluator import Evaluator, is_evaluator
from shiftright.scorers.function import Function
from shiftright.usercode import isolation, sources

NEEDS_EXPECTED = frozenset({"exact", "contains", "number", "similarity"})
"""Built-ins that compare with an expected output, which live traffic has not."""
# Labels say how far to trust a judge; they do not change what it measures.
_NOT_MEASURING = frozenset({"labels"})


def build(check: Check, spec: Spec, *, output_schema: dict[str, Any] | None = None) -> Scorer:
    """The scorer of a check.

    ``score`` names an entry point of ``shiftright.scorers`` or an object ``module:name`` beside the contract: a
    class with ``score`` (made with the check and the contract's folder), an object with ``score``, a
    pydantic_evals evaluator, or a function.

    Args:
        output_schema: JSON Schema of the feature's declared output, which ``schema`` checks where the contract
            gives no schema of its own.

    Raises:
        SpecError: an unknown scorer, a wrong or missing param, with the check's line.
    """
    if check.score == "schema" and "schema" not in check.params and output_schema is not None:
        check = msgspec.structs.replace(check, params={**check.params, "schema": output_schema})
    try:
        return _made(_target(check, spec), check, spec.root)
    except SpecError as cause:
        if cause.file is not None:
            raise
        raise SpecError(cause.message, file=spec.path, line=check.line, hint=cause.hint) from cause.__cause__


def digest(check: Check, spec: Spec) -> str:
    """Identity of what a check measures: the scorer, its params, the content of the files they name, and its code.

    A function's code is its module with the project's modules that it imports; an installed plugin's, its version.
    """
    params = {
        key: _content(value, spec.root) for key, value in check.params.items() if key not in _NOT_MEASURING
    }
    return digest_of(check.score, params, _code(check, spec.root))


def _target(check: Check, spec: Spec) -> Any:
    if ":" in check.score:
        return isolation.load_object(check.score, spec.root, file=spec.path, line=check.line)
    try:
        return plugins.load("scorers", check.score)
    except UsageError as cause:
        raise SpecError(f"checks.{check.name}: {cause.message}", hint=cause.hint) from None


def _made(target: Any, check: Check, root: Path) -> Scorer:
    if is_evaluator(target):
        return Evaluator(target, check)
    if isinstance(target, type) and hasattr(target, "score"):
        made: Scorer = target(check, root)
        return made
    if isinstance(target, Scorer):
        return target
    if not callable(target):
        raise SpecError(
            f"checks.{check.name}: {check.score} is a {type(target).__name__}, which cannot score",
            hint="Name a function, a class with score(), or a pydantic_evals evaluator.",
        )
    return Function(target, check)


def _content(value: Any, root: Path) -> Any:
    """The content of a file instead of its name, so that the digest is the same wherever the project lies."""
    if isinstance(value, str) and 0 < len(value) < 1000 and "\n" not in value and "\0" not in value:
        path = root / value
        if path.is_file():
            return sources.content_digest(path)
    return value


def _code(check: Check, root: Path) -> str | None:
    if ":" in check.score:
        traced = sources.trace(check.score.partition(":")[0], root)
        return sources.digest_files(traced.modules | traced.named, root)
    point = plugins.found("scorers").get(check.score)
    dist = None if point is None else point.dist
    return None if dist is None or dist.name == "shiftright" else f"{dist.name} {dist.version}"
