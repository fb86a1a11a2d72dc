"""``schema``: the output is JSON of the declared shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ScorerError, SpecError
from shiftright.scorers import fields


class Schema:
    """1 where the output is valid against a JSON Schema, else 0 with the first violation as the explanation.

    Text is read as JSON. Without a schema, any JSON object or array will do. References in a schema are resolved
    inside it, never over the network. Params: ``schema`` (a file or the schema itself), ``field``.
    """

    def __init__(self, check: Check, root: Path) -> None:
        self._name = check.name
        self._path = fields.path_of(check.params.get("field"))
        self._valid = Score(check.name, 1.0, "valid")
        given = check.params.get("schema")
        self._validator = (
            None if given is None else _validator(_read(given, root, check.name), given, check.name)
        )

    def score(self, ctx: ScoreContext) -> Score:
        from referencing.exceptions import Unresolvable

        output = ctx.answer.output
        if self._path:
            output = fields.pick(output, self._path)
            if output is fields.MISSING:
                return self._invalid(f"the output has no field {'.'.join(self._path)!r}")
        try:
            return self._checked(output)
        except Unresolvable as cause:
            raise ScorerError(
                f"checks.{self._name}.schema refers to {cause.ref!r}, which is not in it",
                hint="Nothing is fetched: put the definition under $defs.",
            ) from None

    def _checked(self, output: Any) -> Score:
        if isinstance(output, str) and not self._takes_text(output):
            output = fields.parsed(output)
            if output is fields.MISSING:
                return self._invalid("the output is not JSON")
        if self._validator is None:
            if isinstance(output, (dict, list)):
                return self._valid
            return self._invalid("the output is neither a JSON object nor an array")
        from jsonschema.exceptions import best_match

        error = best_match(self._validator.iter_errors(output))
        return self._valid if error is None else self._invalid(f"{error.json_path}: {error.message[:500]}")

    def _takes_text(self, output: str) -> bool:
        """A schema may ask for text itself (``{type: string, enum: […]}``)."""
        return self._validator is not None and self._validator.is_valid(output)

    def _invalid(self, reason: str) -> Score:
        return Score(self._name, 0.0, "invalid", reason)


def _read(given: Any, root: Path, check: str) -> Any:
    if not isinstance(given, str):
        return given
    path = root / given
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as cause:
        raise SpecError(f"checks.{check}.schema: {path} cannot be read: {cause.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise SpecError(f"the schema is not JSON: {cause}", file=path, line=1) from None


def _validator(schema: Any, given: Any, check: str) -> Any:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as cause:
        where = given if isinstance(given, str) else None
        raise SpecError(f"checks.{check}.schema: {cause.json_path}: {cause.message}", file=where) from None
    # An empty registry: the default one would fetch what a $ref names.
    return kind(schema, registry=Registry())
