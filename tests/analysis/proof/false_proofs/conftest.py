"""What every file here needs: a claim of given steps, and what refuses it.

Each test takes one thing that a checker may overlook: a true derivation that must be
accepted, then a false one of the same form that leans on nothing else. The true one
comes first, so that a test that fails with ACCEPTED has shown that only the guard is
missing.
"""

import traceback
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp

import analysis
from analysis.claims import CLAIMS
from analysis.proof.calculus import UniqueMinimum
from analysis.proof.library import Library
from analysis.proof.relations import Relation
from analysis.proof.steps import Earlier, Identity, Inequality

CHECKER = Path(analysis.__file__).parent


@pytest.fixture
def claim():
    """A claim of these steps that states the last one, or `statement`."""

    def made(*steps, statement=None, **changes):
        quoted = tuple(
            {step.claim: None for step in steps if isinstance(step, Earlier)}
        )
        own = {
            "witness": (),
            "values": {},
            "shown": {},
            "uses": quoted,
            "attained": "",
            **changes,
        }
        statement = statement or steps[-1].relation
        return replace(CLAIMS["minimax"], statement=statement, steps=steps, **own)

    return made


class Shelf:
    """The known claims, and those that a test adds to be quoted by name."""

    def __init__(self):
        self.added = {}

    def add(self, name, made):
        """The claim under this name."""
        self.added[name] = replace(made, name=name)
        return self.added[name]

    @property
    def library(self):
        """Both together, nothing remembered of the added ones."""
        if not self.added:
            return CLAIMS
        added = dict(self.added)
        names = CLAIMS.names | added.keys()
        return Library(names, lambda name: added.get(name) or CLAIMS[name])


@pytest.fixture
def shelf():
    """Where claims are put that others may quote."""
    return Shelf()


@pytest.fixture
def prove(claim, shelf):
    """Verify a claim of these steps, by the claims on the shelf."""

    def proved(*steps, **changes):
        return claim(*steps, **changes).verify(shelf.library)

    return proved


@pytest.fixture
def minimum():
    """The signs that a unique minimum rests on, and the minimum."""

    def steps(function, numerator, symbol, zero, interval, *facts, factor=sp.S.One):
        fall, names = sp.diff(numerator, symbol), tuple(fact.name for fact in facts)
        values = [
            Relation(sp.Subs(numerator, symbol, end), "=", numerator.subs(symbol, end))
            for end in interval
        ]
        slope = Relation(sp.Derivative(function, symbol), "=", -factor * numerator)
        return (
            *facts,
            Identity("slope", slope, "", names),
            Inequality(
                "falls", Relation(fall, "<", sp.S.Zero), "", names, certificate=-fall
            ),
            Identity("low", values[0], ""),
            Identity("high", values[1], ""),
            UniqueMinimum(
                "least",
                Relation(function.subs(symbol, zero), "<=", function),
                "",
                ("slope", "falls", "low", "high", *names),
                function=function,
                numerator=numerator,
                factor=factor,
                symbol=symbol,
                zero=zero,
                interval=interval,
            ),
        )

    return steps


@pytest.fixture
def refused():
    """The checker refuses by its own error; where SymPy fails nothing was refused."""

    @contextmanager
    def block():
        try:
            yield
        except ValueError as error:
            if (
                CHECKER
                not in Path(
                    traceback.extract_tb(error.__traceback__)[-1].filename
                ).parents
            ):
                raise
        else:
            pytest.fail("ACCEPTED")

    return block()
