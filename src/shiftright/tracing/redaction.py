"""What must not be kept, taken out of spans before they are stored.

Secrets always go. E-mail addresses, phone numbers, card numbers and IBANs go where a contract of the project, or its
``shiftright.yaml``, says ``data: {redact: [email, …]}``. What is found is replaced by its kind in brackets.

Text of strangers passes through here, megabytes of it, so every pattern runs in linear time: a match can only begin
where a run of its characters begins (look-behind), and what repeats is bounded or never given back (possessive). Cards
and IBANs are told from other numbers by their check digits.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from operator import is_not
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from shiftright import spec as specs
from shiftright.core.trace import SpanRow
from shiftright.core.yaml_text import Map, Seq
from shiftright.errors import Error, SpecError
from shiftright.spec.keys import REDACTABLE

_log = logging.getLogger("shiftright.telemetry")


class _Pattern(NamedTuple):
    """What is taken out: ``kind`` stands in its place where ``confirm`` agrees."""

    kind: str
    find: re.Pattern[str]
    confirm: Callable[[str], bool] | None = None


class _Group(NamedTuple):
    """Patterns of which none matches a text without the character ``gate``, nor one that ``screen`` says nothing of:
    to look for a character costs a tenth of a screen, which costs a tenth of a match."""

    gate: str
    screen: Callable[[str], object]
    patterns: tuple[_Pattern, ...]


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(char) for char in reversed(text) if char.isdigit()]
    doubled = (2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """ISO 13616-1: moved, spelled as numbers, the remainder by 97 is 1."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def _phone(text: str) -> bool:
    return 8 <= sum(char.isdigit() for char in text) <= 15


# A pattern that begins with its first characters is searched for by the fast loop of ``re``; what may not stand before
# them is looked at afterwards. Screens begin with the gate, which is one character, for the same reason.
_SECRETS = (
    # OpenAI, Anthropic, ours · Slack · GitLab
    (
        "-",
        r"-(?:(?<=sk-)|(?<=xox.-)|(?<=glpat-))",
        r"sk-(?<![\w-]sk-)[A-Za-z0-9_-]{16,}+",
        r"xox(?<![\w-]xox)[abeoprs]-[A-Za-z0-9-]{10,}+",
        r"glpat-(?<![\w-]glpat-)[A-Za-z0-9_-]{20,}+",
    ),
    # GitHub · Stripe · Hugging Face · npm
    (
        "_",
        r"_(?:(?<=gh[pousr]_)|(?<=github_)pat_|(?<=[rsp]k_)(?:live|test)_|(?<=hf_)|(?<=npm_))",
        r"gh(?<![\w-]gh)[pousr]_[A-Za-z0-9]{30,}+",
        r"github_pat_(?<![\w-]github_pat_)[A-Za-z0-9_]{30,}+",
        r"[rsp](?<![\w-].)k_(?:live|test)_[A-Za-z0-9]{16,}+",
        r"hf_(?<![\w-]hf_)[A-Za-z0-9]{30,}+",
        r"npm_(?<![\w-]npm_)[A-Za-z0-9]{30,}+",
    ),
    # Amazon · Google
    (
        "A",
        r"A(?:[KS]IA|Iza)",
        r"A(?<![A-Za-z0-9]A)(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        r"AIza(?<![\w-]AIza)[A-Za-z0-9_-]{35}(?![\w-])",
    ),
    # JSON Web Tokens
    ("J", r"J(?<=eyJ)", r"eyJ(?<![\w-]eyJ)[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?"),
    # Name and password of a URL
    ("@", "://", r"(?<=://)[^\s/:@\"'\\]{0,100}+:[^\s/@\"'\\]{1,200}+(?=@)"),
)
# What follows the scheme of an Authorization header
_BEARER = re.compile(r"(?i:(?<=\bbearer ))[A-Za-z0-9._~+/=-]{16,}+")
_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")
_KEY_END = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY-----")
_SECRET_NAMES = re.compile(
    r"(?i)(?:^|[._-])(?:authorization|proxy-authorization|cookie|set-cookie|password|passwd|secret|api[_-]?key|"
    r"access[_-]?token|refresh[_-]?token|client[_-]?secret)$"
)
"""Attributes whose name says what their value is."""
_NAMED = re.compile(
    r'"(?=\s*+:)(?i:(?<=["._-]authorization")|(?<=["._-]cookie")|(?<=["._-]password")|(?<=["._-]passwd")'
    r'|(?<=["._-]secret")|(?<=["._-]clientsecret")|(?<=["._-]api[_-]key")|(?<=["._-]apikey")'
    r'|(?<=["._-]access[_-]token")|(?<=["._-]accesstoken")|(?<=["._-]refresh[_-]token")|(?<=["._-]refreshtoken"))'
)
"""The end of such a name in JSON."""
_ESCAPES = re.compile(r"((?:\\++(?:u[0-9A-Fa-f]{4}|[nrtbf\"/])?)++)")
# Escapes that say what one other character says; of a longer one a backslash is left.
_SHORT_ESCAPES = (("\\n", "\n"), ('\\"', '"'), ("\\t", "\t"), ("\\r", "\r"), ("\\/", "/"))
_JSON = '{["0123456789'
_JSON_IN_TEXT = '{["'
_DEEPEST = 4
_HASH_BYTES = 8

# Numbers are looked for in a copy of which digits are zeros and what people write between them is left out. A character
# beyond ASCII may be a digit: it comes as a question mark and counts as one.
_DIGITS = b"0123456789?"
_ZEROS = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))
_SPACED = bytes.maketrans(_DIGITS + b". ", b"0" * len(_DIGITS) + b"--")
_LETTERS = bytes.maketrans(_DIGITS + b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0" * len(_DIGITS) + b"A" * 26)


def _has_digits(text: str, count: int) -> bool:
    return b"0" * count in text.encode("ascii", "replace").translate(_ZEROS, b" ().-/+")


def _has_spaced(text: str) -> bool:
    return b"000-000-0000" in text.encode("ascii", "replace").translate(_SPACED)


def _has_country(text: str) -> bool:
    return b"AA00" in text.encode("ascii", "replace").translate(_LETTERS)


def _personal(
    kind: str, gate: str, screen: Callable[[str], object], pattern: str, confirm: Callable[[str], bool]
) -> _Group:
    return _Group(gate, screen, (_Pattern(kind, re.compile(pattern), confirm),))


# IBANs and cards before phone numbers, which look alike and are checked less
_PERSONAL = (
    _personal(
        "iban",
        "",
        _has_country,
        r"[A-Z](?<![A-Za-z0-9].)[A-Z]\d{2}"
        r"(?:[A-Z0-9]{11,30}+|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?![A-Za-z0-9])",
        _iban,
    ),
    _personal(
        "card",
        "",
        partial(_has_digits, count=13),
        r"[2-6](?<![\d.].)(?:\d{12,18}+|\d{3}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?"
        r"|(?<=3)\d{3}([ -])\d{6}\2\d{5})(?!\d)",
        _luhn,
    ),
    _personal(
        "phone",
        "+",
        partial(_has_digits, count=8),
        r"\+(?<![\w+].)\d{1,3}(?:[ ().\-/]{0,2}\d){6,13}(?!\d)",
        _phone,
    ),
    _personal(
        "phone", "(", partial(_has_digits, count=10), r"\((?<![\w+].)\d{3}\) ?\d{3}[-. ]\d{4}(?!\d)", _phone
    ),
    _personal("phone", "", _has_spaced, r"\d(?<![\w+].)\d{2}[-. ]\d{3}[-. ]\d{4}(?!\d)", _phone),
)


def _secrets() -> Iterator[_Group]:
    for gate, screen, *patterns in _SECRETS:
        yield _Group(
            gate, re.compile(screen).search, tuple(_Pattern("secret", re.compile(each)) for each in patterns)
        )
    yield _Group("", lambda text: "earer " in text or "EARER " in text, (_Pattern("secret", _BEARER),))


_ALWAYS = tuple(_secrets())
_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+%-"
_DOMAIN = re.compile(r"[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}+")
_LONGEST_LOCAL = 64
_SHORTEST = 5
"""Characters of what is found at all: a@b.c."""
_FIELDS = ("input", "output", "error", "name")
_LABELS = ("model", "provider", "feature", "variant", "release", "service")


class Redaction:
    """Takes out secrets, and the kinds of ``use``: email, phone, card, iban.

    Args:
        key: of the project. Whoever has it can tell whose address a hash is of, by trying addresses; nobody else.
            Without one the hashes are good for this process.
    """

    def __init__(self, kinds: Iterable[str] = (), key: bytes | None = None) -> None:
        self._key = os.urandom(32) if key is None else key
        self._groups: tuple[_Group, ...] = _ALWAYS
        self._emails = False
        self.use(kinds)

    def use(self, kinds: Iterable[str]) -> None:
        """From now on these kinds, besides secrets.

        Raises:
            KeyError: for a kind there is not.
        """
        wanted = set(kinds)
        if unknown := wanted - set(REDACTABLE):
            raise KeyError(min(unknown))
        self._emails = "email" in wanted
        self._groups = (*_ALWAYS, *(group for group in _PERSONAL if group.patterns[0].kind in wanted))

    def prepare(self, spans: Sequence[SpanRow]) -> None:
        """Change the spans in place: their texts, and every text among their attributes."""
        for span in spans:
            for field in _FIELDS:
                value = getattr(span, field)
                if value:
                    cleaned = self.json_or_text(value)
                    if cleaned is not value:
                        setattr(span, field, cleaned)
            span.user, span.session = self.who(span.user), self.who(span.session)
            for field in _LABELS:
                value = getattr(span, field)
                if len(value) >= _SHORTEST and (cleaned := self.text(value)) is not value:
                    setattr(span, field, cleaned)
            if span.attributes and self._concerns(span.attributes):
                span.attributes = self._value(span.attributes)

    def text(self, text: str) -> str:
        """Plain text without what is not to be kept; the same object where there is nothing."""
        if len(text) < _SHORTEST:
            return text
        if "PRIVATE KEY-----" in text:
            text = _without_keys(text)
        # no any(), here and below: a generator for each text takes longer than all the searches
        for gate, screen, patterns in self._groups:
            if gate in text and screen(text):
                for pattern in patterns:
                    text = _replaced(pattern, text)
        return _without_emails(text) if self._emails and "@" in text else text

    def who(self, text: str) -> str:
        """A user or session whose address becomes a short hash of it: they are still told apart and found again. So
        does the whole name where anything else in it is not to be kept."""
        if len(text) < _SHORTEST:
            return text
        told = (
            _without_emails(text, partial(self._pseudonym, "email")) if self._emails and "@" in text else text
        )
        return told if self.text(told) == told else self._pseudonym("name", text)

    def _pseudonym(self, kind: str, text: str) -> str:
        digest = hmac.digest(self._key, text.lower().encode(errors="replace"), "sha256")
        return f"[{kind}:{digest[:_HASH_BYTES].hex()}]"

    def json_or_text(self, text: str, depth: int = 0) -> str:
        """The same for text that may be JSON: it stays JSON, a number that is a card becomes a text.

        ``depth`` says in how many texts that are JSON themselves this one is.
        """
        is_json = depth < _DEEPEST and text.lstrip()[:1] in (_JSON_IN_TEXT if depth else _JSON)
        if not is_json and "\\" not in text:
            return self.text(text)
        plain = _unescaped(text)
        if plain is not None and not self._suspects(plain):
            return text
        if is_json:
            try:
                whole = msgspec.json.decode(text)
                told = self._value(whole, depth + 1)
                return text if told is whole else msgspec.json.encode(told).decode()
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                pass
        return self._between_escapes(self.text(text))

    def _suspects(self, text: str) -> bool:
        """Text without escapes that has to be read more closely."""
        if (self._emails and "@" in text) or "PRIVATE KEY-----" in text:
            return True
        for gate, screen, _ in self._groups:
            if gate in text and screen(text):
                return True
        return '"' in text and _NAMED.search(text) is not None

    def _between_escapes(self, text: str) -> str:
        """For JSON that is cut off or quoted in a sentence: the n of an escaped newline is no part of a word."""
        if "\\" not in text:
            return text
        spaced = _ESCAPES.sub("\n", text)
        if self.text(spaced) is spaced:
            return text
        return "".join(part if part[:1] == "\\" else self.text(part) for part in _ESCAPES.split(text))

    def _concerns(self, attributes: dict[str, Any]) -> bool:
        """One look at all of them as one text: most have nothing to take out."""
        whole = _unescaped(msgspec.json.encode(attributes).decode())
        return whole is None or self._suspects(whole)

    def _value(self, value: Any, depth: int = 1) -> Any:
        """Data with its texts redacted; the same object where there is nothing."""
        if isinstance(value, str):
            return self.json_or_text(value, depth)
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            items = [self._value(item, depth) for item in value]
            return items if any(map(is_not, items, value)) else value
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**11:
            spelled = str(value)
            cleaned = self.text(spelled)
            return value if cleaned is spelled else cleaned
        return value

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        cleaned: dict[Any, Any] = {}
        changed = False
        for key, item in value.items():
            name = self.text(key) if isinstance(key, str) else key
            told = self._named(key, item, depth)
            changed = changed or name is not key or told is not item
            # two addresses are two keys still
            cleaned[f"{name} {len(cleaned) + 1}" if name in cleaned else name] = told
        return cleaned if changed else value

    def _named(self, name: Any, value: Any, depth: int) -> Any:
        if isinstance(name, str) and _is_secret(name):
            if isinstance(value, list | tuple):
                return [self._named(name, item, depth) for item in value]
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                return "[secret]"
        return self._value(value, depth)


def _unescaped(text: str) -> str | None:
    """JSON with its characters as they are read; None when that takes reading it."""
    if "\\" not in text:
        return text
    for escape, char in _SHORT_ESCAPES:
        text = text.replace(escape, char)
    return None if "\\" in text else text


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def kinds_of_project(root: Path) -> frozenset[str]:
    """What the contracts under ``root``, and its ``shiftright.yaml``, want out of what is stored.

    What one contract asks for is taken out of all traces: spans of one trace come from several programs, and not each
    of them says of which feature it is. A contract that cannot be read is said by its own commands.
    """
    found: set[str] = set()
    for path in specs.discover(root):
        try:
            found.update(specs.load(path).data.get("redact", ()))
        except Error as error:
            _log.warning("what to redact is not known of one contract: %s", error)
    return frozenset(found | _company(root))


def _company(root: Path) -> set[str]:
    """``data: {redact: …}`` of the company's defaults.

    Raises:
        SpecError: it cannot be read, or names a kind there is not.
    """
    data = specs.company(root).get("data")
    if not isinstance(data, Map) or "redact" not in data:
        return set()
    given = data["redact"]
    kinds = set(map(str, given if isinstance(given, Seq) else [given]))
    if unknown := kinds - set(REDACTABLE):
        mark = data.marks["redact"]
        message = f"data.redact: there is no kind {min(unknown)!r}"
        raise SpecError(message, file=mark.file, line=mark.line, hint=f"Known: {', '.join(REDACTABLE)}.")
    return kinds


def _replaced(pattern: _Pattern, text: str) -> str:
    confirm = pattern.confirm
    mark = f"[{pattern.kind}]"
    cleaned, count = pattern.find.subn(
        mark if confirm is None else lambda found: mark if confirm(found[0]) else found[0], text
    )
    return cleaned if count and cleaned != text else text


def _without_keys(text: str) -> str:
    """Private keys, those without an end to the end of the text."""
    parts: list[str] = []
    at = 0
    while (begin := _KEY_BEGIN.search(text, at)) is not None:
        end = _KEY_END.search(text, begin.end())
        parts += [text[at : begin.start()], "[secret]"]
        at = len(text) if end is None else end.end()
    return "".join((*parts, text[at:])) if parts else text


def _without_emails(text: str, mark: Callable[[str], str] = lambda _: "[email]") -> str:
    """Looks left and right of each @: a pattern would look for the name before it at every character."""
    parts: list[str] = []
    done = 0
    at = text.find("@")
    while at >= 0:
        before = text[max(done, at - _LONGEST_LOCAL - 1) : at]
        local = len(before) - len(before.rstrip(_LOCAL))
        domain = _DOMAIN.match(text, at + 1)
        if domain is not None and 0 < local <= _LONGEST_LOCAL and domain[0].rpartition(".")[2][:1].isalpha():
            parts += [text[done : at - local], mark(text[at - local : domain.end()])]
            done = domain.end()
            at = text.find("@", done)
        else:
            at = text.find("@", at + 1)
    return "".join((*parts, text[done:])) if parts else text
