"""The names of TensorRT that the code uses, collected from the code: classes, methods, properties and flags."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

ROOTS = ("trt", "backend.trt", "plan.backend.trt")
"""How the code writes the package."""


def names_used(file: Path) -> set[str]:
    """As `BuilderFlag.TF32`, and `IBuilderConfig.set_flag` where something annotated as that class has it called."""
    collector = _Collector()
    collector.visit(ast.parse(file.read_text(encoding="utf-8")))
    return collector.found


class _Collector(ast.NodeVisitor):
    """Knows the classes of annotated names: of a function in that function, of `self` and of fields in the file."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._scopes: list[dict[str, str]] = [{}]
        self._fields: dict[str, str] = {}

    def visit_Module(self, node: ast.Module) -> None:
        for item in ast.walk(node):
            if (
                isinstance(item, ast.AnnAssign)
                and isinstance(item.target, ast.Attribute)
                and (name := _class_of(item.annotation))
            ):
                self._fields[item.target.attr] = name
            if isinstance(item, ast.ClassDef):
                self._fields.update(_annotated(item.body))
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            written = ast.unparse(base)
            for root in ROOTS:
                if written.startswith(root + "."):  # what TensorRT calls of it
                    self.found |= {
                        f"{written.removeprefix(root + '.')}.{item.name}"
                        for item in node.body
                        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
                    }
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        own = {item.arg: name for item in arguments if (name := _class_of(item.annotation))}
        self._scopes.append({**self._scopes[-1], **own, **_annotated(_statements(node))})
        self.generic_visit(node)
        self._scopes.pop()

    def visit_Attribute(self, node: ast.Attribute) -> None:
        written = ast.unparse(node)
        for root in ROOTS:
            if written.startswith(root + "."):
                self.found.add(written.removeprefix(root + ".").split(".__")[0])
                return
        if owner := self._class(node.value):
            self.found.add(f"{owner}.{node.attr}")
        self.generic_visit(node)

    def _class(self, value: ast.expr) -> str | None:
        if isinstance(value, ast.Name):
            return self._scopes[-1].get(value.id)
        return self._fields.get(value.attr) if isinstance(value, ast.Attribute) else None


def _annotated(body: list[ast.stmt]) -> Mapping[str, str]:
    return {
        item.target.id: name
        for item in body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and (name := _class_of(item.annotation))
    }


def _statements(node: ast.FunctionDef) -> list[ast.stmt]:
    """Of a function, but not of those in it."""
    found: list[ast.stmt] = []
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        item = waiting.pop()
        if isinstance(item, ast.stmt):
            found.append(item)
        if not isinstance(item, ast.FunctionDef | ast.ClassDef):
            waiting += ast.iter_child_nodes(item)
    return found


def _class_of(annotation: ast.expr | None) -> str | None:
    """`IBuilderConfig` of `tensorrt.IBuilderConfig`, and of the same or None."""
    written = "" if annotation is None else ast.unparse(annotation)
    match = re.fullmatch(r"tensorrt(?:_rtx)?\.(\w+)(?: \| None)?", written)
    return match[1] if match else None
