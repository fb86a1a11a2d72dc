"""The AI features that a code base has already: calls of models, the models they name, prompts.

Source is read, never run or imported: Python by its syntax tree, JavaScript and TypeScript by patterns that look at one
line at a time.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from shiftright.errors import UsageError

Kind = Literal["call", "model", "prompt"]
LARGEST_FILE = 1_000_000
LONGEST_LINE = 2_000
_SKIPPED = frozenset(
    {"node_modules", "__pycache__", "build", "dist", "out", "venv", "site-packages", "vendor", "coverage"}
)
_PYTHON, _SCRIPT = frozenset({".py"}), frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".tsx"})

_LIBRARIES = {
    "openai": "openai", "anthropic": "anthropic", "litellm": "litellm", "langchain": "langchain",
    "langchain_openai": "langchain", "langchain_anthropic": "langchain", "langchain_core": "langchain",
    "langchain_community": "langchain", "langgraph": "langgraph", "llama_index": "llamaindex",
    "pydantic_ai": "pydantic-ai", "instructor": "instructor", "dspy": "dspy", "boto3": "bedrock", "cohere": "cohere",
    "google": "google-genai", "vertexai": "google-genai", "mistralai": "mistral", "groq": "groq", "ollama": "ollama",
    "agents": "openai-agents", "haystack": "haystack", "crewai": "crewai", "huggingface_hub": "huggingface",
    "transformers": "huggingface", "together": "together",
}  # fmt: skip
"""Top-level Python packages, and what they are called here."""

# What a call of these libraries ends with; other calls of the same packages (types, tools) are no features.
_ASKS = re.compile(
    r"(?:^|\.)(?:(?:chat\.)?completions\.(?:create|parse|stream)|responses\.(?:create|parse|stream)|"
    r"messages\.(?:create|stream)|embeddings\.create|images\.generate|a?completion|a?embedding|a?invoke|a?stream|"
    r"a?batch|run|run_sync|run_stream|a?query|a?chat|a?complete|generate_content(?:_stream)?|generate|"
    r"invoke_model(?:_with_response_stream)?|converse(?:_stream)?|text_generation|chat_completion|predict|kickoff)$"
)
_CERTAIN = re.compile(
    r"(?:completions\.(?:create|parse|stream)|responses\.(?:create|parse|stream)|messages\.(?:create|stream)|"
    r"embeddings\.create|generate_content(?:_stream)?|invoke_model(?:_with_response_stream)?|converse(?:_stream)?)$"
)
_MODEL = re.compile(
    r"^(?:[\w.-]+[:/])?(?:gpt-|o[1-9](?:-|$)|chatgpt|claude-|gemini-|mistral-|mixtral|llama|qwen|deepseek|command-|"
    r"text-embedding-|grok-|anthropic\.|amazon\.nova|meta\.llama|smollm)[\w.:/-]*$",
    re.IGNORECASE,
)
_PROMPT_NAME = re.compile(r"prompt|instructions|system_message|template", re.IGNORECASE)
_SCRIPT_LIBRARY = re.compile(
    r"""(?:from|require\()\s*['"](openai|@anthropic-ai/[\w-]+|ai|@ai-sdk/[\w-]+|langchain|@langchain/[\w-]+|llamaindex|"""
    r"""@aws-sdk/client-bedrock-runtime|@google/gen(?:ai|erative-ai)|@mistralai/mistralai|groq-sdk|cohere-ai|ollama)"""
)
_SCRIPT_CALL = re.compile(
    r"\b((?:\w+\.){0,4}(?:completions\.(?:create|parse|stream)|responses\.(?:create|parse|stream)|"
    r"messages\.(?:create|stream)|embeddings\.create|generateContent(?:Stream)?)|"
    r"(?:generateText|streamText|generateObject|streamObject|embedMany)|(?:InvokeModel|Converse)(?:Stream)?Command)\s*[(<]"
)
_SCRIPT_TEXT = re.compile(r"""['"`]([^'"`\s]{3,80})['"`]""")
_SCRIPT_PROMPT = re.compile(r"\b(\w{0,60}(?:[Pp]rompt|PROMPT|[Ii]nstructions)\w{0,40})\s*[:=]\s*['\"`]")


class Found(msgspec.Struct, frozen=True):
    """One place. ``what`` is the call, the model's name or the prompt's name; ``library`` is "" where it is not known,
    ``within`` the function around it."""

    kind: Kind
    file: str
    line: int
    what: str
    library: str = ""
    within: str = ""


class Scan(msgspec.Struct, frozen=True):
    """``unreadable`` files are too large, no text or no Python."""

    found: tuple[Found, ...]
    files: int
    unreadable: tuple[str, ...]


def scan(root: Path) -> Scan:
    """Everything found under a folder, in path order. Links are not followed.

    Raises:
        UsageError: when it is no folder.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no folder", hint="Give the folder of a code base.")
    found: list[Found] = []
    unreadable: list[str] = []
    files = 0
    for path in _sources(root):
        files += 1
        name = path.relative_to(root).as_posix()
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise ValueError
            text = path.read_text(encoding="utf-8")
            found += _python(text, name) if path.suffix in _PYTHON else _script(text, name)
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            unreadable.append(name)
    return Scan(tuple(found), files, tuple(unreadable))


def _sources(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _SKIPPED and not name.startswith("."))
        for file in sorted(files):
            path = Path(folder, file)
            if path.suffix in _PYTHON | _SCRIPT and not path.is_symlink():
                yield path


def _python(text: str, file: str) -> list[Found]:
    tree = ast.parse(text)
    imported = _imports(tree)
    if not imported:
        return []
    found: list[Found] = []
    _walk(tree, file, imported, "", found)
    return sorted(found, key=lambda each: each.line)


def _imports(tree: ast.AST) -> dict[str, str]:
    """Library by the name under which a file knows it or a part of it."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (library := _library(alias.name)) is not None:
                    names[(alias.asname or alias.name).partition(".")[0]] = library
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (library := _library(f"{node.module}.{alias.name}")) is not None:
                    names[alias.asname or alias.name] = library
    return names


def _library(module: str) -> str | None:
    first = module.partition(".")[0]
    if first == "google" and not module.startswith(("google.genai", "google.generativeai")):
        return None
    return _LIBRARIES.get(first)


def _walk(node: ast.AST, file: str, imported: dict[str, str], within: str, found: list[Found]) -> None:
    for child in ast.iter_child_nodes(node):
        inside = within
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{within}.{child.name}".lstrip(".")
        elif isinstance(child, ast.Call):
            found += _call(child, file, imported, within)
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            _note_assignment(child, file, imported, within, found)
        elif (
            isinstance(child, ast.Constant)
            and isinstance(child.value, str)
            and _MODEL.match(child.value[:100])
        ):
            found.append(Found("model", file, child.lineno, child.value, "", within))
        _walk(child, file, imported, inside, found)


def _call(node: ast.Call, file: str, imported: dict[str, str], within: str) -> list[Found]:
    name = _dotted(node.func)
    library = imported.get(name.partition(".")[0], "")
    if name and (_CERTAIN.search(name) or (library and _ASKS.search(name))):
        return [Found("call", file, node.lineno, name, library or _only(imported), within)]
    return []


def _note_assignment(
    node: ast.Assign | ast.AnnAssign, file: str, imported: dict[str, str], within: str, found: list[Found]
) -> None:
    """``client = OpenAI()`` makes ``client`` a part of its library; a long text under a telling name is a prompt."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    value = node.value
    if isinstance(value, ast.Call):
        made = _dotted(value.func)
        library = imported.get(made.partition(".")[0])
        if library is not None:
            imported |= dict.fromkeys(names, library)
    text = (
        value.value
        if isinstance(value, ast.Constant)
        else "…" * 40
        if isinstance(value, ast.JoinedStr)
        else None
    )
    if isinstance(text, str) and len(text) >= 40:
        prompts = [name for name in names if _PROMPT_NAME.search(name)]
        found += [Found("prompt", file, node.lineno, name, "", within) for name in prompts]


def _dotted(node: ast.expr) -> str:
    """``client.chat.completions.create``; a call in between (``Agent(…).run``) is left out."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Name):
            return ".".join((node.id, *reversed(parts)))
        else:
            return ".".join(("", *reversed(parts))).lstrip(".")


def _only(imported: dict[str, str]) -> str:
    """The file's library, where it has but one."""
    libraries = set(imported.values())
    return libraries.pop() if len(libraries) == 1 else ""


def _script(text: str, file: str) -> list[Found]:
    library = _SCRIPT_LIBRARY.search(text)
    if library is None:
        return []
    found: list[Found] = []
    for number, whole in enumerate(text.splitlines(), 1):
        line = whole[:LONGEST_LINE]
        if line.lstrip().startswith(("//", "*", "import ")):
            continue
        found += [Found("call", file, number, call[1], library[1]) for call in _SCRIPT_CALL.finditer(line)]
        models = (text[1] for text in _SCRIPT_TEXT.finditer(line))
        found += [Found("model", file, number, name) for name in models if _MODEL.match(name)]
        found += [Found("prompt", file, number, name[1]) for name in _SCRIPT_PROMPT.finditer(line)]
    return found
