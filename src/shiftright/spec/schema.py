"""The contract as JSON Schema, for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from shiftright.spec.keys import (
    CASES,
    CHECK,
    CONFIDENCE,
    DATA,
    LIVE,
    OWNER,
    SCORERS,
    SHIP,
    TOP,
    VALUE,
    VARIANT,
    Key,
    Section,
)


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of ``spec.yaml``; keys without an engine are left out, so editors flag them.

    It is a little wider than the loader: params of all built-in scorers pass on every check.
    """
    top = _object(TOP)
    properties = top["properties"]
    properties["cases"] = {"anyOf": [properties["cases"], _object(CASES)]}
    properties["confidence"] = _object(CONFIDENCE)
    properties["owner"] = _object(OWNER)
    properties["ship"] = _object(SHIP)
    properties["value"] = _object(VALUE)
    properties["live"] = _object(LIVE)
    properties["data"] = _object(DATA)
    properties["variants"] = {"type": "object", "additionalProperties": _object(VARIANT)}
    properties["checks"] = {"type": "object", "minProperties": 1, "additionalProperties": _check()}
    # A contract that extends another may leave the required keys to it.
    required = {"anyOf": [{"required": top.pop("required")}, {"required": ["extends"]}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "spec.yaml"} | top | required


def _object(section: Section) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key.name: _value(key) for key in section.keys if key.engine},
        "additionalProperties": section.open,
    }
    required = [key.name for key in section.keys if key.required]
    return schema | ({"required": required} if required else {})


def _value(key: Key) -> dict[str, Any]:
    return key.kind.schema | {"description": key.doc}


def _check() -> dict[str, Any]:
    """Functions and plugins take params of their own, so further keys pass unless the scorer is a built-in."""
    check = _object(CHECK)
    for keys in SCORERS.values():
        for key in keys:
            check["properties"].setdefault(key.name, _value(key))
    built_in = {"properties": {"score": {"enum": sorted(SCORERS)}}}
    closed = {"propertyNames": {"enum": sorted(check["properties"])}}
    check["additionalProperties"] = True
    return check | {"if": built_in, "then": closed}
