"""The synthetic problems, one a file: loss, exact gradient and samples."""

from typing import Any, Protocol

import numpy as np

from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from sim.problems.domains import Domains
from sim.problems.linear_regression import LinearRegression, LinearRegressionData
from sim.problems.logistic_regression import LogisticRegression
from sim.problems.nonconvex import NonConvex
from sim.problems.problem import Problem
from sim.problems.quadratic import Quadratic
from sim.problems.two_layer import TwoLayer
from sim.reduction.radial import chosen

__all__ = ["Landscape", "Problem", "build", "landscape"]


class Landscape(Protocol):
    """A loss in the coordinates of a `sim.engines.state.State`."""

    def gradient(self, w: Any, /) -> Any:
        """∇f at w [..., d], of the same shape."""

    def loss(self, w: Any, /) -> Any:
        """The loss at w [..., d]."""


def landscape(experiment: Experiment) -> Landscape:
    """The loss that an experiment's states are in, as arrays of NumPy in float64."""
    space = chosen(experiment)
    return build(experiment) if space is None else space


def build(experiment: Experiment, xp: Any = np, dtype: Any = None) -> Problem:
    """An experiment's problem, arrays of library xp with float type dtype (float64)."""
    model = experiment.model
    if isinstance(model, GradientModel):
        if model.nonconvex is not None:
            return NonConvex(model, xp, dtype)
        if model.domains is not None:
            return Domains(
                model, xp, dtype, pure=experiment.algorithm.domains == "pure"
            )
        return Quadratic(model, xp, dtype)
    if model.problem == "logistic_regression":
        return LogisticRegression(model, xp, dtype)
    if model.problem == "two_layer":
        return TwoLayer(model, xp, dtype)
    if model.parameters.samples is None:
        return LinearRegression(model, xp, dtype)
    return LinearRegressionData(model, experiment.run.seed, xp, dtype)
