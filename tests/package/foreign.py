"""Which private names of other packages this one uses: those that begin with an underscore, found in its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def private_names(folder: Path) -> set[str]:
    """Private names of others in a folder of Python: dotted where they are imported, else as attributes, ``.name``."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in folder.rglob("*.py")]
    own = {name for tree in trees for name in _defined(tree)}
    return {name for tree in trees for name in _used(tree, folder.name, own)} - {"os._exit"}  # which is documented


def _is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.endswith("__") for part in name.split("."))


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that are given here: of functions, classes, variables, arguments and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def _used(tree: ast.Module, package: str, own: set[str]) -> set[str]:
    imported = dict(_imported(tree, package))
    found = {name for name in imported.values() if _is_private(name)}
    for node in ast.walk(tree):
        dotted = _dotted(node)
        (root, _, rest), last = dotted.partition("."), dotted.rpartition(".")[2]
        if root in imported and rest and _is_private(rest):
            found.add(f"{imported[root]}.{rest}")
        elif rest and _is_private(last) and last not in own:
            found.add(f".{last}")
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


def _imported(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """Names here, and what they stand for elsewhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or name, name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith(package):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.AST) -> str:
    """``a.b.c``, also of ``getattr(a.b, "c", ...)``; empty where it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        value = _dotted(node.value)
        return f"{value}.{node.attr}" if value else ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        value, name = _dotted(node.args[0]), node.args[1]
        return f"{value}.{name.value}" if value and isinstance(name, ast.Constant) else ""
    return ""
