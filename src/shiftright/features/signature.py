"""What a feature's function takes and gives, read from its annotations once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, get_type_hints

import msgspec

from shiftright.errors import FeatureError, SpecError
from shiftright.features.context import Context

F = TypeVar("F", bound=Callable[..., Any])
_JSON_TYPES = (str, int, bool, dict, list)


class Signature(NamedTuple):
    """``context`` is the name of the parameter annotated with Context, if there is one. ``is_async`` says whether
    calling the function gives a coroutine."""

    function: Callable[..., Any]
    input_name: str
    input_type: Any
    context: str | None
    output_type: Any
    is_async: bool


def feature(function: F) -> F:
    """Mark a function as a feature: its shape is checked where it is written. It is returned unchanged.

    The first parameter is the input; a further one annotated with Context gets the context. Optional: any callable
    can be a feature.

    Raises:
        SpecError: when a feature cannot have this shape.
    """
    _parameters(function)
    return function


def read(function: Callable[..., Any]) -> Signature:
    """The signature of a callable.

    Raises:
        SpecError: no input parameter, further parameters without a default, an annotation that names nothing, a
            generator.
    """
    input_name, rest = _parameters(function)
    hints = _hints(function)
    context = next((name for name in rest if hints.get(name) is Context), None)
    for name, parameter in rest.items():
        if name != context and parameter.default is parameter.empty:
            raise _fail(
                function,
                f"takes {name!r} besides its input {input_name!r}",
                "A feature takes its input and, annotated with Context, the context. Use a dict or a pydantic model.",
            )
    return Signature(
        function,
        input_name,
        hints.get(input_name, Any),
        context,
        hints.get("return", Any),
        _is_async(function),
    )


def reader(signature: Signature) -> Callable[[Any], Any]:
    """A function that turns a case's JSON value into what the parameter's annotation asks for.

    The value handed on shares no list or dict with the case: what a feature changes stays changed for itself only.
    """
    wanted = signature.input_type
    if wanted is Any or wanted is object:
        return own_copy
    if wanted in _JSON_TYPES:
        return _exactly(wanted, signature)
    return _validated(wanted, signature)


def own_copy(value: Any) -> Any:
    """The value itself, or a deep copy of a list or dict."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value)) if type(value) in (dict, list) else value


def output_schema(output_type: Any) -> dict[str, Any] | None:
    """JSON Schema of a declared output type; None where nothing is declared.

    Raises:
        SpecError: for a type that JSON Schema cannot say.
    """
    return _schema(output_type, "output")


def input_schema(input_type: Any) -> dict[str, Any] | None:
    """JSON Schema of what the input parameter's annotation takes; None where nothing is declared.

    Raises:
        SpecError: for a type that JSON Schema cannot say.
    """
    return _schema(input_type, "input")


def _schema(declared: Any, side: str) -> dict[str, Any] | None:
    if declared in (Any, object, inspect.Parameter.empty):
        return None
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(declared).json_schema(mode="validation" if side == "input" else "serialization")
    except PydanticUserError as cause:
        raise SpecError(
            f"the feature's {side} type has no JSON Schema: {cause}",
            hint="Annotate it with a pydantic model or a dataclass, or give the check a schema.",
        ) from cause


def _exactly(wanted: type, signature: Signature) -> Callable[[Any], Any]:
    slow: list[Callable[[Any], Any]] = []

    def read_input(value: Any) -> Any:
        if type(value) is wanted:
            return own_copy(value)
        if not slow:
            slow.append(_validated(wanted, signature))
        return slow[0](value)

    return read_input


def _validated(wanted: Any, signature: Signature) -> Callable[[Any], Any]:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        adapter = TypeAdapter(wanted)
    except (PydanticUserError, NameError) as cause:
        raise _fail(
            signature.function, f"has an input type that cannot be read from JSON: {cause}",
            "Annotate the input with a pydantic model, a dataclass, a TypedDict or a JSON type.",
        ) from cause  # fmt: skip

    def read_input(value: Any) -> Any:
        try:
            return adapter.validate_python(own_copy(value))
        except ValidationError as cause:
            errors = cause.errors(include_url=False, include_context=False)
            shown = "; ".join(f"{_path(signature.input_name, e['loc'])}: {e['msg']}" for e in errors[:3])
            more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
            raise FeatureError(f"the input does not fit the feature: {shown}{more}") from None

    return read_input


def _path(name: str, location: tuple[Any, ...]) -> str:
    return ".".join((name, *map(str, location)))


def _parameters(function: Callable[..., Any]) -> tuple[str, dict[str, inspect.Parameter]]:
    """The input parameter's name, and the others."""
    if isinstance(function, type):
        raise _fail(function, "is a class", "Name a function, or an instance with __call__.")
    target = _target(function)
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise _fail(function, "is a generator", "A feature returns its whole output.")
    try:
        parameters = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return "input", {}  # built into Python: called with the input alone
    positional = [name for name, p in parameters.items() if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    if not positional:
        raise _fail(function, "takes no input", "Its first parameter is the case's input.")
    rest = {
        name: p
        for name, p in parameters.items()
        if name != positional[0] and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    return positional[0], rest


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(_target(function), include_extras=True)
    except NameError as cause:
        raise _fail(
            function, f"has an annotation that names nothing: {cause}",
            "Import the type at run time, not only under TYPE_CHECKING.",
        ) from cause  # fmt: skip
    except TypeError:
        return {}  # a partial or a built-in: nothing is annotated


def _target(function: Callable[..., Any]) -> Any:
    """Where annotations and the ``async`` are written: the function, or an instance's ``__call__``."""
    if inspect.isroutine(function) or not hasattr(type(function), "__call__"):  # noqa: B004
        return function
    return getattr(function, "func", None) or type(function).__call__


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(_target(function))


def _fail(function: Any, message: str, hint: str) -> SpecError:
    name = getattr(function, "__qualname__", type(function).__name__)
    code = getattr(inspect.unwrap(function) if inspect.isroutine(function) else None, "__code__", None)
    where = {"file": code.co_filename, "line": code.co_firstlineno} if code else {}
    return SpecError(f"{name} {message}", hint=hint, **where)
