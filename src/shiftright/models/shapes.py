"""The shape an answer must have: a type that pydantic validates, or a JSON schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from shiftright.errors import SpecError

# Models that are not held to a schema like to wrap JSON into a Markdown fence.
_FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?```\s*$", re.DOTALL)
# The wire wants an object at the top, so any other shape travels inside one, under this key.
_WRAP = "value"


class Unfitting(ValueError):
    """An answer does not have the shape; the text says where, for the model to read."""


class Shape:
    """A shape with its JSON schema.

    ``object_schema`` is the schema on the wire, always of an object; ``read`` turns an answer's text into the value,
    or raises Unfitting. Shapes are compared by identity: ``shape_of`` gives the same one for the same type.
    """

    def __init__(self, name: str, schema: dict[str, Any], read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read
        self._wrapped = schema.get("type") != "object" and "properties" not in schema
        self.object_schema = _wrapped(schema) if self._wrapped else schema

    def read(self, text: str) -> Any:
        fenced = _FENCED.match(text)
        text = fenced[1] if fenced else text
        return self._read(_unwrapped(text) if self._wrapped else text)


def shape_of(output: Any) -> Shape:
    """The shape of a type or of a JSON schema (a dict).

    Raises:
        SpecError: when pydantic has no schema for the type, or the dict is no JSON schema.
    """
    if isinstance(output, Mapping):
        return _of_schema(json.dumps(output, sort_keys=True))
    try:
        hash(output)
    except TypeError:
        return _of_type.__wrapped__(output)  # an Annotated type may carry a dict
    return _of_type(output)


@lru_cache(maxsize=256)
def _of_type(output: Any) -> Shape:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(output)
        schema = adapter.json_schema()
    except PydanticUserError as error:
        raise SpecError(f"a model cannot be asked for {output!r}: {error}") from error

    def read(text: str) -> Any:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'answer'}: {item['msg']}"
                for item in error.errors(include_url=False, include_context=False, include_input=False)
            )
            raise Unfitting(wrong) from error

    return Shape(getattr(output, "__name__", "answer"), schema, read)


@lru_cache(maxsize=256)
def _of_schema(text: str) -> Shape:
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    schema: dict[str, Any] = json.loads(text)
    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise SpecError(f"`output` is not a JSON schema: {error.message}") from error
    validator = kind(schema)

    def read(answer: str) -> Any:
        try:
            value = json.loads(answer)
        except ValueError as error:
            raise Unfitting(f"not JSON: {error}") from error
        wrong = [
            f"{'.'.join(map(str, error.absolute_path)) or 'answer'}: {error.message}"
            for error in validator.iter_errors(value)
        ]
        if wrong:
            raise Unfitting("; ".join(wrong))
        return value

    return Shape(str(schema.get("title") or "answer"), schema, read)


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    outer: dict[str, Any] = {
        "type": "object",
        "properties": {_WRAP: inner},
        "required": [_WRAP],
        "additionalProperties": False,
    }
    if "$defs" in schema:
        outer["$defs"] = schema["$defs"]
    return outer


def _unwrapped(text: str) -> str:
    """The JSON inside the wrapping object; text that is no such object is left for validation to judge."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and value.keys() == {_WRAP}:
        return json.dumps(value[_WRAP])
    return text
