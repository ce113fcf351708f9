"""The problem, described once: what theory and simulation both speak about.

Simulation may import nothing else of `analysis`, but for what all commands share.
"""

from analysis.spec.algorithm import Algorithm, Run, Schedule
from analysis.spec.checking import SpecificationError
from analysis.spec.composition import Compositions, TooManyCompositionsError
from analysis.spec.domains import Domain
from analysis.spec.draggers import Active, Dragger
from analysis.spec.experiment import Experiment
from analysis.spec.feasibility import require_feasible
from analysis.spec.learning import LearningModel
from analysis.spec.limits import LARGEST_STEP
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Gaussian, Rare, StudentT
from analysis.spec.rule import Clipping, Rule, micro_batches

__all__ = [
    "LARGEST_STEP",
    "Active",
    "Algorithm",
    "Clipping",
    "Compositions",
    "Domain",
    "Dragger",
    "Experiment",
    "Gamma",
    "Gaussian",
    "GradientModel",
    "LearningModel",
    "Rare",
    "Rule",
    "Run",
    "Schedule",
    "SpecificationError",
    "StudentT",
    "TooManyCompositionsError",
    "micro_batches",
    "require_feasible",
]
