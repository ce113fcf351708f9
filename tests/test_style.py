"""What the linter cannot ask for: a name for each thing, and things where they belong."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("analysis", "sim", "figures")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def unrelated_assignments(tree):
    """Lines that give several names their literals at once.

    Allowed are swaps and coordinates: plain numbers for names such as x, y or low, high.
    """
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)):
            continue
        if not all(isinstance(target, ast.Tuple) for target in node.targets):
            continue
        values = node.value.elts
        literals = [value for value in values if isinstance(value, LITERALS) or is_number(value)]
        if literals and not all(map(is_number, values)):
            yield node.lineno
        elif literals and any(target.id.isupper() for target in names(node.targets)):
            yield node.lineno


LITERALS = (ast.Constant, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.JoinedStr)


def is_number(node):
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def names(targets):
    return [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
