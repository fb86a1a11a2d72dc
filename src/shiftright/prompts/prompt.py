"""A prompt file: settings on top, then one template, or one template per role.

    ---
    model: local:smollm2-135m
    temperature: 0
    ---
    <system>
    You sort messages into queues.
    </system>
    <user>
    {{ input }}
    </user>

A file with role blocks gives messages, one without gives one text. Tags stand alone on their lines. They are
read from the file and never from what a variable holds, so a user's text cannot open a system message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from shiftright.core.case import Message, digest_of
from shiftright.core.yaml_text import Map, decode, plain
from shiftright.core.yaml_text import parse as parse_yaml
from shiftright.errors import PromptError

MAX_BYTES = 1_000_000
ROLES = ("system", "user", "assistant")
_TAG = re.compile(rf"<(/?)({'|'.join(ROLES)})>\s*")


class Section(NamedTuple):
    """One template. ``role`` is None for a whole file; ``line`` is where it starts, in the file."""

    role: str | None
    source: str
    line: int


class Prompt(msgspec.Struct, frozen=True):
    """One prompt. ``text`` is the template without the settings; ``line`` is where it starts in the file."""

    text: str
    settings: dict[str, Any] = {}
    path: Path | None = None
    line: int = 1

    @property
    def digest(self) -> str:
        """Of the template and its settings, not of where they are."""
        return digest_of(self.text, self.settings)

    @property
    def variables(self) -> frozenset[str]:
        """The names the template expects.

        Raises:
            PromptError: when it is not a template.
        """
        return frozenset[str]().union(*(names for _, _, names in self._programs()))

    def render(self, variables: Mapping[str, Any]) -> str | list[Message]:
        """The prompt's text, or its messages where the file has role blocks. Values are inserted as they are.

        Raises:
            PromptError: unknown variable, forbidden or failing expression, or too large, with file and line.
        """
        texts = [(s, self._text(s, template, variables)) for s, template, _ in self._programs()]
        if texts[0][0].role is None:
            return texts[0][1]
        return [Message(role=section.role or "", content=text) for section, text in texts]

    def _programs(self) -> tuple[tuple[Section, Any, frozenset[str]], ...]:
        return _compiled(self.text, self.path, self.line)

    def _text(self, section: Section, template: Any, variables: Mapping[str, Any]) -> str:
        from jinja2 import UndefinedError

        from shiftright.prompts import _sandbox

        try:
            return _sandbox.rendered(template, dict(variables))
        except UndefinedError as cause:
            message = cause.message or "a variable is undefined"
            hint = f"{_guess(message, variables)}Known: {', '.join(sorted(variables)) or 'none'}."
            raise PromptError(message, file=self.path, line=_line(cause, section), hint=hint) from None
        except Exception as cause:
            hint = "A prompt inserts variables; compute elsewhere."
            message = f"cannot be rendered: {cause}"
            raise PromptError(message, file=self.path, line=_line(cause, section), hint=hint) from cause


def load(path: str | Path) -> Prompt:
    """The prompt in a file.

    Raises:
        PromptError: when it cannot be read, is over 1 MB or not UTF-8, or its settings are not YAML.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as cause:
        hint = "Name a prompt file."
        raise PromptError(f"cannot be read: {cause.strerror}", file=file, hint=hint) from None
    if len(data) > MAX_BYTES:
        raise PromptError(
            f"is larger than {MAX_BYTES:,} bytes", file=file, hint="Pass long texts as variables."
        )
    return parse(decode(data, file=file, error=PromptError), path=file)


def parse(text: str, *, path: Path | None = None) -> Prompt:
    """The prompt in a text, perhaps with settings between two ``---`` lines on top.

    Raises:
        PromptError: when the settings are not a YAML mapping.
    """
    lines = text.splitlines(keepends=True)
    if not lines or lines[0].rstrip() != "---":
        return Prompt(text, path=path)
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        hint = "Close the settings with a second --- line."
        raise PromptError("the settings never end", file=path, line=1, hint=hint)
    settings = parse_yaml("".join(lines[1:end]), file=path, error=PromptError, first_line=2)
    if settings is not None and not isinstance(settings, Map):
        raise PromptError("the settings are not a mapping", file=path, line=2, hint="Write temperature: 0")
    return Prompt("".join(lines[end + 1 :]), plain(settings or {}), path, end + 2)


def sections(text: str, path: Path | None, line: int) -> list[Section]:
    """The role blocks of a template, or the whole of it.

    Raises:
        PromptError: text between blocks, a block inside another, or one that never ends.
    """
    lines = text.splitlines()
    first = next((item for item in lines if item.strip()), "")
    if not (tag := _TAG.fullmatch(first)) or tag[1]:
        return [Section(None, text, line)]
    found: list[Section] = []
    role, start = "", 0
    for number, item in enumerate(lines):
        tag = _TAG.fullmatch(item)
        if tag and not role and not tag[1]:
            role, start = tag[2], number + 1
        elif tag and tag[1] and tag[2] == role:
            found.append(Section(role, "\n".join(lines[start:number]), line + start))
            role = ""
        elif tag or (not role and item.strip()):
            tag_name = role or "user"
            hint = f"A block is <{tag_name}>, its lines, </{tag_name}>, each tag on a line of its own."
            raise PromptError(
                f"this stands outside the blocks: {item[:60]!r}", file=path, line=line + number, hint=hint
            )
    if role:
        message = f"<{role}> never ends"
        raise PromptError(message, file=path, line=line + start - 1, hint=f"Add a line </{role}>.")
    return found


@lru_cache(maxsize=256)
def _compiled(text: str, path: Path | None, line: int) -> tuple[tuple[Section, Any, frozenset[str]], ...]:
    from jinja2 import TemplateSyntaxError

    programs = []
    for section in sections(text, path, line):
        try:
            programs.append((section, *_sandbox_of().program(section.source)))
        except TemplateSyntaxError as cause:
            at = section.line + cause.lineno - 1
            hint = "To print braces as they are, write {% raw %}{{ … }}{% endraw %}."
            raise PromptError(f"not a template: {cause.message}", file=path, line=at, hint=hint) from None
    return tuple(programs)


@lru_cache(maxsize=1)
def _sandbox_of() -> Any:
    from shiftright.prompts import _sandbox  # jinja2 takes 50 ms that `check` need not pay

    return _sandbox.Sandbox()


def _guess(message: str, variables: Mapping[str, Any]) -> str:
    """The nearest known variable, from jinja2's "'nme' is undefined"."""
    import difflib

    name = re.match(r"'(\w+)' is undefined", message)
    near = difflib.get_close_matches(name[1], list(variables), n=1) if name else []
    return f"Did you mean {near[0]!r}? " if near else ""


def _line(cause: BaseException, section: Section) -> int:
    """The template line an exception came from; jinja2 names its frames ``<template>``."""
    line = 1
    frame = cause.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<template>":
            line = frame.tb_lineno
        frame = frame.tb_next
    return section.line + line - 1
