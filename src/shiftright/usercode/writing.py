"""Which texts of a module name files that it writes and never reads: logs and results, no part of what it does."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_WRITING_METHODS = frozenset({"write_text", "write_bytes", "touch", "unlink"})


def written_only(tree: ast.AST) -> dict[str, set[str]]:
    """Texts that stand only where a file is written -> the names through which they do.

    ``open("seen.txt", "a")``, ``Path("seen.txt").write_text(…)``, and ``SEEN = HERE / "seen.txt"`` where the module
    only writes to ``SEEN``; another module may still read through that name. A text that is read too, or handed on, is
    not among them: the code may depend on that file.
    """
    through = {node: "" for target in _targets(tree) for node in ast.walk(target)}
    read: set[str] = set()
    written: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            (written if node in through else read).add(node.id)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if len(names) == len(targets) == 1 and names <= written - read:
                through |= dict.fromkeys(ast.walk(node.value), *names)
    texts: dict[str, set[str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.setdefault(node.value, set()).add(through.get(node))
    return {text: {name for name in names if name} for text, names in texts.items() if None not in names}


def _targets(tree: ast.AST) -> Iterator[ast.AST]:
    """Expressions that give the path of a file that is written."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in _WRITING_METHODS or (node.func.attr == "open" and _writes(node, 0)):
                yield node.func.value
        elif isinstance(node.func, ast.Name) and node.func.id == "open" and node.args and _writes(node, 1):
            yield node.args[0]


def _writes(call: ast.Call, position: int) -> bool:
    """Whether the mode, at this position or by name, writes and does not read."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    given += call.args[position : position + 1]
    mode = given[0].value if given and isinstance(given[0], ast.Constant) else None
    return isinstance(mode, str) and mode[:1] in ("w", "a", "x") and "+" not in mode
