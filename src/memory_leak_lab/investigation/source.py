"""Searches a program's source for retained memory: containers that are added to, and whether anything is removed."""

from __future__ import annotations

import ast
from dataclasses import dataclass

ADDING = frozenset({"append", "appendleft", "add", "setdefault", "update", "extend", "insert"})
REMOVING = frozenset({"pop", "popitem", "popleft", "clear", "remove", "discard"})


@dataclass(frozen=True)
class RetainingContainer:
    """A container that a function adds to: its name, the line that adds, and the condition for removal.

    `removed_if` is None if nothing is ever removed.
    """

    name: str
    line: int
    removed_if: str | None


def retaining_containers(source: str) -> list[RetainingContainer]:
    """Return the containers that functions of a Python source add to and do not always remove from.

    Only containers that outlive a call count: object attributes and module names. Empty if the source cannot be parsed.
    """
    reader = _Reader()
    try:
        tree = ast.parse(source)
        lasting = {_name(target) for node in tree.body for target in _targets(node)}
        reader.visit(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # not Python, or nested too deeply
        return []
    found = []
    for name, line in reader.added.items():
        conditions = reader.removed.get(name, [])
        if ("." in name or name in lasting) and "always" not in conditions:
            found.append(RetainingContainer(name, line, " or ".join(conditions) or None))
    return found


def _name(node: ast.expr) -> str:
    return ast.unparse(node)


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


class _Reader(ast.NodeVisitor):
    """Collects where functions add to and remove from containers, and under which condition."""

    def __init__(self) -> None:
        self.added: dict[str, int] = {}
        self.removed: dict[str, list[str]] = {}
        self._conditions: list[str] = []
        self._in_function = False
        self._fixed_size: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:  # name required by ast
        outside, self._in_function = self._in_function, True
        self.generic_visit(node)
        self._in_function = outside

    def visit_If(self, node: ast.If) -> None:
        self._conditions.append(ast.unparse(node.test))
        for child in [node.test, *node.body]:
            self.visit(child)
        self._conditions.pop()
        for child in node.orelse:
            self.visit(child)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self._add(target.value, node.lineno)
            elif isinstance(node.value, ast.BinOp) and isinstance(node.value.left, ast.List):
                self._fixed_size.add(_name(target))  # [None] * n: its slots are overwritten
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self._remove(target.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in ADDING:
                self._add(node.func.value, node.lineno)
            elif node.func.attr in REMOVING:
                self._remove(node.func.value)
        self.generic_visit(node)

    def _add(self, container: ast.expr, line: int) -> None:
        if self._in_function and _name(container) not in self._fixed_size:
            self.added.setdefault(_name(container), line)

    def _remove(self, container: ast.expr) -> None:
        self.removed.setdefault(_name(container), []).append(self._conditions[-1] if self._conditions else "always")
