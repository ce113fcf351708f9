"""Simulation of SGD with micro-batch clipping: `run(Experiment.load(path))`."""

from analysis.model import Experiment
from sim.sweep import Result, run

__all__ = ["Experiment", "Result", "run"]
