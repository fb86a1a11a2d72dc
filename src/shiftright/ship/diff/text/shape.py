"""What kind of thing an answer is: JSON, code, a list, prose, a label, a number, or nothing."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

Shape = Literal["JSON", "broken JSON", "code", "table", "list", "prose", "label", "number", "empty"]

LONGEST_LABEL = 40
MOST_LABEL_WORDS = 4
_NUMBER = re.compile(r"[-+]?[\d.,]*\d\s*%?")
_FENCED = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_ROW = re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE)
_DATA = re.compile(r'(```\w*\s*)?[{[]\s*(["{[\]}]|-?\d|$)')
FEWEST_LINES = 3


def data_in(output: Any) -> Any:
    """The output, as data where it is the text of a JSON object or list, fenced or not."""
    if isinstance(output, str):
        text = output.strip()
        fenced = _FENCED.match(text)
        text = fenced[1] if fenced else text
        if text.startswith(("{", "[")):
            try:
                return msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return output
    return output


def shape(output: Any) -> Shape:
    """Of an answer's output: data is JSON, text is what it looks like."""
    if output is None:
        return "empty"
    if isinstance(output, dict | list):
        return "JSON"
    if not isinstance(output, str):
        return "number" if not isinstance(output, bool) else "label"
    text = output.strip()
    if not text:
        return "empty"
    if _NUMBER.fullmatch(text):
        return "number"
    if text[0] in "{[" or text.startswith(("```json", "```\n{", "```\n[")):
        return _json(text)
    return _of_text(text)


def _json(text: str) -> Shape:
    if data_in(text) is not text:
        return "JSON"
    # prose may begin with a bracket too: "[Company], thank you …"
    return "broken JSON" if _DATA.match(text) else _of_text(text)


def _of_text(text: str) -> Shape:
    if "```" in text:
        return "code"
    if len(_ROW.findall(text)) >= FEWEST_LINES:
        return "table"
    if len(_BULLET.findall(text)) >= FEWEST_LINES:
        return "list"
    short = len(text) <= LONGEST_LABEL and len(text.split()) <= MOST_LABEL_WORDS and "\n" not in text
    return "label" if short else "prose"
