"""What the linter cannot ask for: constants with names, and names where they belong."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("analysis", "sim", "figures")
FILES = [
    path
    for folder in (*PACKAGES, "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
] + [ROOT / "micro_batch_clipping.py"]

LITERALS = (
    *(ast.Constant, ast.JoinedStr, ast.List, ast.Dict, ast.Set),
    *(ast.ListComp, ast.DictComp, ast.SetComp),
)
COORDINATES = [{"x", "y"}, {"low", "high"}, {"left", "right"}, {"start", "stop"}]
# formulas and types need letters
SYMBOLS = {"Symbol", "symbols", "Function", "TypeVar"}


def is_literal(node):
    """A constant, perhaps with a sign, or a list, dictionary or set."""
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, LITERALS)


def merged_constants(tree):
    """Tuple assignments of literals, but for coordinates: they hide what a name is."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)):
            continue
        for target in node.targets:
            names = {ast.unparse(name) for name in getattr(target, "elts", [])}
            if (
                names
                and names not in COORDINATES
                and any(map(is_literal, node.value.elts))
            ):
                yield node.lineno


def called(node):
    """The last name of what is called: symbols for sp.symbols(…)."""
    return (
        ast.unparse(node.func).split(".")[-1].strip("_")
        if isinstance(node, ast.Call)
        else ""
    )


def one_letter_constants(tree):
    """Names of one letter in a module, unless they are symbols or formulas of these."""
    for node in tree.body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        letters = [
            name.id
            for target in targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name) and len(name.id) == 1
        ]
        formula = called(node.value) in SYMBOLS | {"real"} or isinstance(
            node.value, ast.BinOp
        )
        if letters and not formula:
            yield node.lineno


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def foreign_private_names(tree):
    """Names with an underscore of another module: imported, read or replaced."""
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.asname or alias.name: alias.name for alias in node.names}
            modules |= {
                name for name, full in names.items() if full.startswith(PACKAGES)
            }
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            PACKAGES
        ):
            modules |= {alias.asname or alias.name for alias in node.names}
            if any(is_private(alias.name) for alias in node.names):
                yield node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if ast.unparse(node.value) in modules:
                yield node.lineno
        elif called(node) == "setattr" and len(node.args) == 3:
            target, name, _ = node.args
            if ast.unparse(target) in modules and is_private(
                getattr(name, "value", "")
            ):
                yield node.lineno


def escaping_walruses(tree):
    """Names bound in an expression that is no condition, or used after it."""
    lines = set()
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.Module)):
            continue
        if not any(isinstance(node, ast.NamedExpr) for node in ast.walk(function)):
            continue
        last_line = {}  # of the statement whose condition a node is part of
        for node in ast.walk(function):
            if isinstance(node, (ast.If, ast.While)):
                last_line |= {id(part): node.end_lineno for part in ast.walk(node.test)}
            elif isinstance(node, ast.comprehension):
                tests = [part for test in node.ifs for part in ast.walk(test)]
                last_line |= {
                    id(part): test.end_lineno for part in tests for test in node.ifs
                }
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        for walrus in ast.walk(function):
            if isinstance(walrus, ast.NamedExpr):
                limit = last_line.get(id(walrus), 0)
                used = [name.lineno for name in names if name.id == walrus.target.id]
                if not limit or (
                    max(used) > limit and isinstance(function, ast.FunctionDef)
                ):
                    lines.add(walrus.lineno)
    yield from sorted(lines)


RULES = {
    rule.__name__: rule
    for rule in (
        merged_constants,
        one_letter_constants,
        foreign_private_names,
        escaping_walruses,
    )
}

REFUSED = [
    ("merged_constants", "def f():\n    size, name = 8, 'x'\n"),
    ("merged_constants", "LOW, SIZES = -1.5, [1, 2]\n"),
    (
        "merged_constants",
        "class A:\n    def f(self):\n        self.a, self.b = set(), {}\n",
    ),
    ("one_letter_constants", "import numpy as np\nU = np.uint64\n"),
    ("one_letter_constants", "B, SIZE = sizes()\n"),
    ("foreign_private_names", "from sim.sweep import measure\nmeasure._advance()\n"),
    ("foreign_private_names", "from figures.phases import _bias\n"),
    ("foreign_private_names", "import sim.engines\nsim.engines._look()\n"),
    (
        "foreign_private_names",
        "import figures.page\npatch.setattr(figures.page, '_of', None)\n",
    ),
    (
        "escaping_walruses",
        "def f(x):\n    if (y := x) > 1:\n        pass\n    return y\n",
    ),
    ("escaping_walruses", "def f(x):\n    return g(y := h(x), y)\n"),
]
ACCEPTED = [
    ("merged_constants", "def f(a, b):\n    a, b = b, a\n    low, high = 0.0, 1.0\n"),
    (
        "one_letter_constants",
        "import sympy as sp\nx, y = sp.symbols('x y')\nz = x * y\n",
    ),
    ("foreign_private_names", "import os\nfrom sim import __version__\nos._exit(0)\n"),
    (
        "escaping_walruses",
        (
            "def f(x):\n"
            "    if y := g(x):\n"
            "        return y\n"
            "    return [z for z in x if (w := z)]\n"
        ),
    ),
]


@cache
def parsed(path):
    """The syntax tree of a file, for all rules."""
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("rule", RULES)
def test_style(rule):
    places = []
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        places += [f"{name}:{line}" for line in RULES[rule](parsed(path))]
    assert places == []


@pytest.mark.parametrize(("rule", "code"), REFUSED)
def test_what_is_not_meant_is_refused(rule, code):
    assert len(list(RULES[rule](ast.parse(code)))) == 1


@pytest.mark.parametrize(("rule", "code"), ACCEPTED)
def test_what_is_meant_is_accepted(rule, code):
    assert list(RULES[rule](ast.parse(code))) == []
