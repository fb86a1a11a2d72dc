"""The house: import ranks, acyclic packages, file and function ceilings, one export table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "shiftright"
RANKS = {
    "errors": 0,
    "core": 1, "settings": 1, "plugins": 1,
    "spec": 2, "stats": 2, "datasets": 2, "prompts": 2, "store": 2, "usercode": 2,
    "tracing": 3, "decisions": 3,
    "models": 4,
    "guardrails": 5, "retrieval": 5,
    "features": 6,
    "scorers": 6,
    "evals": 7,
    "ship": 8, "monitor": 8, "improve": 8,
    "gateway": 9, "web": 9,
    "app": 10, "openfeature": 10, "testing": 10, "pytest_plugin": 10,
    "cli": 11, "__main__": 12,
}  # fmt: skip
FILES = sorted(path for path in ROOT.rglob("*.py") if "examples" not in path.parts)
LONGEST_FILE, LONGEST_FUNCTION = 500, 60


def module_of(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every import of ours in a file, lazy and typing-only ones too, as (line, module parts below the root)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "shiftright":
                    yield node.lineno, tuple(alias.name.split(".")[1:])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "shiftright":
            base = tuple((node.module or "").split(".")[1:])
            for alias in node.names:
                target = ROOT.joinpath(*base, alias.name)
                is_module = target.is_dir() or target.with_suffix(".py").exists()
                yield node.lineno, (*base, alias.name) if is_module else base


def test_a_module_imports_only_packages_of_lower_rank() -> None:
    wrong = []
    for path in FILES:
        own = (module_of(path) or ("__init__",))[0]
        if own == "__init__":
            continue
        for line, target in imports(path):
            where = f"{path.relative_to(ROOT)}:{line}"
            if not target:
                wrong.append(f"{where} imports the package root")
            elif target[0] != own and RANKS[target[0]] >= RANKS[own]:
                wrong.append(f"{where}: {own} ({RANKS[own]}) imports {target[0]} ({RANKS[target[0]]})")
    assert not wrong, "\n".join(wrong)


def test_every_package_has_a_rank() -> None:
    assert {module_of(path)[0] for path in FILES if module_of(path)} <= set(RANKS)


def test_imports_inside_a_package_are_acyclic() -> None:
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for path in FILES:
        own = module_of(path)
        if own:
            graph[own] = {target for _, target in imports(path) if target[:1] == own[:1] and target != own}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, naming the cycle


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"  # type: ignore[operator]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION  # type: ignore[operator]
    ]
    assert not long


def test_the_root_holds_one_lazy_export_table() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, ast.ClassDef)]
    import shiftright

    for name in shiftright.__all__:
        assert getattr(shiftright, name) is not None
    assert len(shiftright.__all__) <= 30
