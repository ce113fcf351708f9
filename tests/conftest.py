"""Families of comparisons of simulation and theory, and the page of `make soak`.

A family of comparisons that are true is refused with probability ALARM at most, by the
extremes of Student's t (Bonferroni) and, for exact values, by the sum of the squared
scores and the number of intervals that miss; there are fewer than 30 families, so the
probability of a false alarm is below 1e-6 in all, for Gaussian means. The random
numbers are fixed.
"""

import math
import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ALARM = 1e-8
DOUBTFUL = 0.15  # the share of runs that may still be in doubt at the finest step sizes


class Family:
    """Comparisons for one claim, with exact values or a bound; a row of the page.

    A score z is positive where the simulation is on the wrong side of a bound. `factor`
    says how the theory is spoilt; the scores against the spoilt theory must be refused.
    """

    def __init__(self, claim, exact, factor, record):
        self.claim, self.exact, self.factor, self.record = claim, exact, factor, record
        self.models = set()
        self.labels = []
        self.pairs = []
        self.spoilt = []
        self.ratios = []
        self.runs = self.finer = self.intervals = self.missed = 0
        self.doubts = []

    def add(self, label, z, degrees, ratio=math.nan, spoilt=None):
        """One comparison: its score, simulated value over bound, score if spoilt."""
        self.models.add(label)
        self.labels.append(label)
        self.pairs.append((float(z), degrees))
        self.ratios += [float(ratio)] if math.isfinite(ratio) else []
        if spoilt is not None:
            self.against(spoilt, degrees)

    def against(self, z, degrees):
        """A score against a spoilt theory."""
        self.spoilt.append((float(z), degrees))

    def mean(self, label, values, theory, spoilt=None, sign=1):
        """The mean of independent values [n] against theory, one number or one a value.

        sign -1 where theory bounds it below.
        """

        def score(theory):
            gap = sign * (values - theory)
            error = gap.std(ddof=1) / math.sqrt(len(gap))
            return gap.mean() / error if error > 0 else 1e9 * gap.mean()

        middle, expected = np.mean(values), np.mean(theory)
        ratio = (middle / expected) ** sign if expected > 0 and middle > 0 else math.nan
        spoilt = None if spoilt is None else score(spoilt)
        self.add(label, score(theory), len(values) - 1, ratio, spoilt)

    def rest(self, experiment):
        """Stationary bias; in doubt it is run again, twice at most, in finer steps."""
        from sim.sweep.measure import simulate

        self.runs += 1
        for attempt in range(3):
            [estimate] = simulate(experiment, None, 1, False).values()
            if estimate.problem is None and estimate.warning is None:
                return estimate
            self.finer += attempt == 0
            run = experiment.run
            steps, iterations = (
                tuple(step / 2 for step in run.steps),
                3 * run.iterations,
            )
            experiment = replace(
                experiment, run=replace(run, steps=steps, iterations=iterations)
            )
        self.doubts.append(estimate.problem or estimate.warning)
        return None

    def bias(self, label, estimate, theory, spoilt=None):
        """A stationary bias; nothing is compared where the run is in doubt."""
        if estimate is None:
            return
        low, high = estimate.interval
        self.intervals += 1
        self.missed += not low <= theory <= high
        score = None if spoilt is None else estimate.score(spoilt)
        ratio = estimate.bias / theory if theory > 0 else math.nan
        self.add(label, estimate.score(theory), estimate.degrees, ratio, score)

    def limit(self, degrees):
        """What a score must not exceed."""
        from scipy import special

        return -special.stdtrit(
            degrees, ALARM / (2 if self.exact else 1) / len(self.pairs)
        )

    def square(self, pairs):
        """The mean square of scores (z, degrees), made normal."""
        from scipy import stats

        tail = [stats.t.logsf(abs(z), degrees) for z, degrees in pairs]
        return float((stats.norm.isf(np.exp(tail)) ** 2).mean())

    def refused(self, pairs):
        """Which scores (z, degrees) are refused; all exact ones where their sum is."""
        from scipy import stats

        beyond = [
            (abs(z) if self.exact else z) > self.limit(degrees) for z, degrees in pairs
        ]
        if not self.exact:
            return beyond
        n, total = len(pairs), len(pairs) * self.square(pairs)
        fits = stats.chi2.ppf(ALARM / 2, n) < total < stats.chi2.isf(ALARM / 2, n)
        return beyond if fits else [True] * n

    def judge(self):
        """Nothing is refused but what is spoilt; the row is recorded first."""
        from scipy import stats

        size = [
            (abs(z) if self.exact else z) / self.limit(degrees)
            for z, degrees in self.pairs
        ]
        worst = int(np.argmax(size))
        row = {
            "claim": self.claim,
            "models": len(self.models),
            "comparisons": len(self.pairs),
            "largest": self.pairs[worst][0],
            "limit": float(self.limit(self.pairs[worst][1])),
            "factor": self.factor,
            "spoilt": min(z for z, _ in self.spoilt),
            "runs": self.runs,
            "finer": self.finer,
            "doubtful": len(self.doubts),
        }
        if self.exact:
            row |= {
                "square": self.square(self.pairs),
                "spoilt": self.square(self.spoilt),
            }
            row |= {"intervals": self.intervals, "missed": self.missed}
        else:
            row |= {"ratio": max(self.ratios)}
        self.record("soak", row)
        assert not any(self.refused(self.pairs)), (self.labels[worst], row)
        assert all(self.refused(self.spoilt)), (self.spoilt, row)
        assert len(self.doubts) <= DOUBTFUL * self.runs + 1, self.doubts
        if self.exact:
            assert stats.binom.sf(self.missed - 1, self.intervals, 0.01) > ALARM, row


@pytest.fixture
def family(record_property):
    """A family of comparisons for the claim of that name."""

    def made(claim, factor, exact=False):
        return Family(claim, exact, factor, record_property)

    return made


INTRODUCTION = """\
# Soak

Written by `make soak`: the tests that are too long for `make test`, with the full
counts. This run: {passed} tests passed, {failed} failed, {minutes:.0f} minutes on
{cores} cores.

Every comparison of simulation and theory belongs to a family with one claim. A family
of true comparisons is refused with probability 1e-8 at most, by the largest score (the
limit is Student's t, divided among the comparisons), for exact values by the sum of
squares and the number of 99 % intervals that miss as well: below 1e-6 in all. Every
family must also refuse a spoilt theory. Stationary runs that the simulator itself calls
in doubt are repeated with half the step, twice at most; *finer* counts these,
*doubtful* those that stayed in doubt and are not compared.
"""
EXACT = """
## Exact values

χ²/n is the mean square of the scores, 1 on average; *missed* counts 99 % intervals
without the exact value; *spoilt* says by which factor the exact values are made wrong,
and χ²/n then.

| claim | test | models | values | largest z (limit) \
| χ²/n | missed | spoilt | finer, doubtful |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
BOUNDS = """
## Bounds

The largest ratio is that of the simulated value to an upper bound, or of a lower bound
to the simulated value; an instance that attains the bound, or nearly, is among the
models where there is one. z is how many standard errors the simulation lies beyond the
bound. *Spoilt* says by which factor the bound is made wrong, or where it is taken to
hold although it does not, and the least z of the instances that refuse it.

| claim | test | models | largest ratio | largest z (limit) | spoilt | finer, doubtful |
| --- | --- | --- | --- | --- | --- | --- |
"""
REST = """
## Kills, fuzzing, power

| what | count |
| --- | --- |
"""


def pytest_addoption(parser):
    parser.addoption(
        "--soak-page", metavar="PATH", help="write what the soak tests found there"
    )


def pytest_configure(config):
    if config.getoption("--soak-page") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(
            Page(Path(config.getoption("--soak-page"))), "soak_page"
        )


class Page:
    """Collects what tests record, from all workers, and writes the page last."""

    def __init__(self, path):
        self.path, self.began = path, time.monotonic()
        self.rows = []
        self.outcomes = Counter()
        self.counts = Counter()

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and report.outcome == "passed":
            return
        self.outcomes[report.outcome] += 1
        name = Path(report.location[0]).stem
        rows = [row for key, row in report.user_properties if key == "soak"]
        self.rows += [{"test": name, **row} for row in rows]
        if not rows:
            self.counts[report.location[0]] += report.outcome == "passed"

    def pytest_sessionfinish(self):
        if not self.outcomes:
            return
        minutes = (time.monotonic() - self.began) / 60
        counts = {"passed": self.outcomes["passed"], "failed": self.outcomes["failed"]}
        text = INTRODUCTION.format(minutes=minutes, cores=os.cpu_count(), **counts)
        compared = sorted(
            (r for r in self.rows if "claim" in r), key=lambda r: r["claim"]
        )
        text += EXACT + "".join(exact_row(r) for r in compared if "square" in r)
        text += BOUNDS + "".join(bound_row(r) for r in compared if "square" not in r)
        text += REST + "".join(
            f"| {r['what']} | {r['count']} |\n" for r in self.rows if "what" in r
        )
        for name, count in sorted(self.counts.items()):
            text += f"| tests of `{name}` that passed | {count} |\n"
        self.path.write_text(text, encoding="utf-8")


def exact_row(r):
    return (
        f"| `{r['claim']}` | `{r['test']}` | {r['models']} | {r['comparisons']} | "
        f"{r['largest']:.2f} ({r['limit']:.1f}) | {r['square']:.2f} | "
        f"{missed(r)} | {r['factor']}: {r['spoilt']:.1f} | {runs(r)} |\n"
    )


def bound_row(r):
    return (
        f"| `{r['claim']}` | `{r['test']}` | {r['models']} | {r['ratio']:.3f} | "
        f"{r['largest']:.2f} ({r['limit']:.1f}) | {r['factor']}: {r['spoilt']:.1f} | "
        f"{runs(r)} |\n"
    )


def missed(r):
    return f"{r['missed']} of {r['intervals']}" if r["intervals"] else "-"


def runs(r):
    return f"{r['finer']}, {r['doubtful']} of {r['runs']}" if r["runs"] else "-"
