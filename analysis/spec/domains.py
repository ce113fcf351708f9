"""Domains: parts of the benign population, each with a minimum and noise of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from analysis.spec.checking import (
    Checked,
    SpecificationError,
    checked,
    one_or_several,
    read_law,
    real,
    refuse,
)
from analysis.spec.limits import LARGEST_STEP
from analysis.spec.noise import NOISE_LAWS, AnyNoise, any_noise


@dataclass(frozen=True)
class Domain(Checked):
    """A part of the benign population, with a loss and a noise law of its own.

    A benign sample belongs to it with chance `weight`; its loss is that of the model
    with the minimum moved to `optimum`, a number in dimension 1, else a list [d].
    """

    table: ClassVar[str] = "model.domains"
    weight: float = checked(real(0, 1, open_low=True))
    optimum: float | tuple[float, ...] = checked(
        one_or_several(real(-1e100, 1e100), LARGEST_STEP)
    )
    noise: AnyNoise = checked(any_noise)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from one [[model.domains]] table."""
        values = cls.entries(table)
        values["noise"] = read_law("model.noise", values["noise"], NOISE_LAWS)
        return cls(**values)


def read_domains(tables: Any) -> tuple[Domain, ...]:
    """The list [[model.domains]]; refusals name the domain by its place in the list."""
    if not isinstance(tables, (list, tuple)) or not all(
        isinstance(t, Mapping) for t in tables
    ):
        refuse("model.domains", tables, "a list of tables [[model.domains]]")
    domains = []
    for i, table in enumerate(tables):
        try:
            domains.append(Domain.read(table))
        except SpecificationError as error:
            message = str(error)
            place = f"model.domains[{i}]"
            own = message.removeprefix("model.domains")
            inner = f"{place}{message.removeprefix('model')}"
            raise SpecificationError(inner if own == message else place + own) from None
    return tuple(domains)
