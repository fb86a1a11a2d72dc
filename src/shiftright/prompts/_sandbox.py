"""Jinja2 with nothing but text: no files, no attributes of Python's objects, and a bound on work and size.

jinja2's sandbox keeps templates away from Python's internals but not from eating all memory and time; loops,
calls, repetition and joins are therefore counted here, and filters and methods are the ones a prompt needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import msgspec
from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARACTERS = 1_000_000
MAX_STEPS = 100_000
FILTERS = {
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items",
    "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round",
    "select", "selectattr", "sort", "string", "sum", "title", "trim", "truncate", "unique",
    "upper", "wordcount",
}  # fmt: skip
METHODS = {
    "capitalize", "endswith", "get", "items", "keys", "lower", "lstrip", "rstrip", "split", "splitlines",
    "startswith", "strip", "title", "upper", "values",
}  # fmt: skip
_steps: ContextVar[list[int]] = ContextVar("steps of this rendering")


class TooLarge(Exception):
    """The template does more than a prompt needs."""


class Sandbox(ImmutableSandboxedEnvironment):
    """One environment for all prompts; it holds no state of a template."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown)
        self.globals = {"range": _range}
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.filters |= {"join": _join, "replace": _replace, "indent": _indent, "tojson": _json}
        self.filters[_COUNTED] = _counted

    def program(self, source: str) -> tuple[Any, frozenset[str]]:
        """The template and the names it expects.

        Raises:
            TemplateSyntaxError: also for what no prompt may do (include, import, private attributes).
        """
        tree = self.parse(source)
        for node in tree.find_all(
            (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Getattr, nodes.Getitem)
        ):
            _refuse(node)
        names = find_undeclared_variables(tree) - self.globals.keys()
        _count_work(tree)
        code = self.compile(tree)
        return self.template_class.from_code(self, code, dict(self.globals)), frozenset(names)

    def is_safe_callable(self, obj: Any) -> bool:
        """``range``, macros, ``loop``, listed methods of plain data; never a function that was passed in."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | dict):
            return obj.__name__ in METHODS
        return obj is _range or type(obj).__module__ == "jinja2.runtime" or _is_loop(owner)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        _step()
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator in ("**", "%") and not (_is_number(left) and _is_number(right)):
            raise SecurityError(f"{operator} works on numbers")
        if operator == "**" and (abs(right) > 64 or abs(left) > 1e6):
            raise TooLarge(f"{left} ** {right}")
        if operator == "*":
            _fits(_product_size(left, right))
        if operator == "+" and not _is_number(left):
            _fits(len(left) + len(right))
        return super().call_binop(context, operator, left, right)


def rendered(template: Any, variables: dict[str, Any]) -> str:
    """The template's text.

    Raises:
        TooLarge: for more than a million characters, or 100,000 loop steps and calls.
        Exception: whatever the template's expressions raise.
    """
    token = _steps.set([MAX_STEPS])
    try:
        parts = []
        size = 0
        for part in template.generate(variables):
            parts.append(part)
            size += len(part)
            _fits(size)
        return "".join(parts)
    finally:
        _steps.reset(token)


_COUNTED = " counted"
"""Not a name a template can write."""


def _count_work(tree: nodes.Template) -> None:
    """Loops go through ``_counted`` and ``~`` through the bounded ``join``."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, _COUNTED, [], [], None, None, lineno=loop.lineno)
    for node in tree.find_all((nodes.Node,)):
        for field, value in node.iter_fields():
            if isinstance(value, nodes.Concat):
                setattr(node, field, _joined(value))
            elif isinstance(value, list):
                value[:] = [_joined(item) if isinstance(item, nodes.Concat) else item for item in value]


def _joined(concat: nodes.Concat) -> nodes.Filter:
    parts = nodes.List(concat.nodes, lineno=concat.lineno)
    return nodes.Filter(parts, "join", [], [], None, None, lineno=concat.lineno)


def _refuse(node: nodes.Node) -> None:
    if isinstance(node, nodes.Getattr):
        name: Any = node.attr
    elif isinstance(node, nodes.Getitem):
        name = node.arg.value if isinstance(node.arg, nodes.Const) else ""
    else:
        raise TemplateSyntaxError(
            "a prompt cannot read other files; pass their text as a variable", node.lineno
        )
    if isinstance(name, str) and name.startswith("_"):
        raise TemplateSyntaxError(f"{name!r} is private", node.lineno)


def _step() -> None:
    left = _steps.get()
    left[0] -= 1
    if left[0] < 0:
        raise TooLarge(f"more than {MAX_STEPS:,} steps")


def _fits(size: float) -> None:
    if size > MAX_CHARACTERS:
        raise TooLarge(f"more than {MAX_CHARACTERS:,} characters")


def _product_size(left: Any, right: Any) -> float:
    """Characters of a repetition, or bits of an integer product."""
    if _is_number(left) and _is_number(right):
        whole = isinstance(left, int) and isinstance(right, int)
        return left.bit_length() + right.bit_length() if whole else 0
    text, times = (right, left) if _is_number(left) else (left, right)
    return float(len(text) * times)


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _step()
        yield value


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_STEPS:
        raise TooLarge(f"more than {MAX_STEPS:,} steps")
    return numbers


def _join(values: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    parts = []
    size = 0
    for value in values:
        _step()
        item = value if attribute is None else value[attribute]
        parts.append(_text(item))
        size += len(parts[-1]) + len(d)
        _fits(size)
    return d.join(parts)


def _replace(text: str, old: str, new: str) -> str:
    _fits(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _indent(text: str, width: int = 4, first: bool = False) -> str:
    _fits(len(text) + (text.count("\n") + 1) * width)
    margin = " " * width
    shifted = text.replace("\n", "\n" + margin)
    return margin + shifted if first else shifted


def _json(value: Any, indent: int = 0) -> str:
    data = msgspec.json.encode(value)
    return (msgspec.json.format(data, indent=min(indent, 16)) if indent else data).decode()


def _shown(value: Any) -> Any:
    """What ``{{ value }}`` prints: data as JSON, as a model expects it, rather than as Python."""
    return value if isinstance(value, str | StrictUndefined) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict | list | tuple | bool) or value is None:
        return _json(value)
    if callable(value):
        raise SecurityError("a function is no text")
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_loop(owner: Any) -> bool:
    return type(owner).__module__ == "jinja2.runtime"
