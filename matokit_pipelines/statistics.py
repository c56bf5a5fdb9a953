"""The statistics of the product, in one place for marts, alerts and reports.

Counts in, numbers between 0 and 1 out, None where there is nothing to say. Not here: thresholds and verdicts on
alerts. No statistics package is needed: everything is sums of `lgamma`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.96
Z_95_ONE_SIDED = 1.6448536269514722
BASELINE_CAP = 400  # a long history must not be taken as exact
ENOUGH_UNITS = 10
NEGLIGIBLE = 1e-17


@dataclass(frozen=True)
class Counted:
    """`failures` of `units` (units = first tries of a machine at a component in a window)."""

    failures: int
    units: int

    def __post_init__(self) -> None:
        if not 0 <= self.failures <= self.units:
            raise ValueError(f"{self.failures} failures of {self.units} units")


def rate(successes: int, events: int) -> float | None:
    """Successes / events; None without events."""
    return successes / events if events else None


def wilson(successes: int, events: int, z: float = Z_95) -> tuple[float, float] | None:
    """Wilson score interval of a share (Wilson 1927); None without events. Same formula as the SQL macros."""
    if events <= 0:
        return None
    p = successes / events
    centre = p + z * z / (2 * events)
    spread = z * sqrt(p * (1 - p) / events + z * z / (4 * events * events))
    scale = 1 + z * z / events
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _tails(f: int, n: int, a: float, b: float) -> tuple[float, float]:
    """P(F >= f) and P(F <= f) for F ~ BetaBinomial(n, a, b), from one sum over the side that is small: 1 - x has no
    digits near 0."""
    here = exp(_log_choose(n, f) + _log_beta(f + a, n - f + b) - _log_beta(a, b))
    if f * (a + b) > n * a:  # beyond the mean: masses fall from here on
        small = _sum(here, range(f, n), n, a, b)
        return min(1.0, small), max(0.0, 1.0 - (small - here))
    small = _sum(here, range(f - 1, -1, -1), n, a, b)
    return max(0.0, 1.0 - (small - here)), min(1.0, small)


def _sum(first: float, places: range, n: int, a: float, b: float) -> float:
    """`first` and the masses that follow it, up or down from there; ends when nothing more could be seen of them.

    Each is made of the one before: `ratio` is P(F = k + 1) / P(F = k), or the inverse on the way down.
    """
    total = mass = first
    is_up = places.step > 0
    for k in places:
        ratio = (n - k) * (k + a) / ((k + 1) * (n - k - 1 + b))
        if not is_up:
            ratio = 1 / ratio
        mass *= ratio
        total += mass
        if ratio < 1 and mass < total * NEGLIGIBLE * (1 - ratio):
            break
    return total


def chances(now: Counted, baseline: Counted, share: float | None = None) -> tuple[float, float]:
    """How often so many failures, or more, and so few, or fewer, would be seen had nothing changed since the baseline.

    `P(F >= f)` and `P(F <= f)` with `F ~ BetaBinomial(n, 0.5 + w*p, 0.5 + w*(1-p))`, `w = min(units of the baseline,
    400)` and `p` the baseline's failure share, or `share` where the caller expects another one (mix adjustment).
    """
    weight = min(baseline.units, BASELINE_CAP)
    p = share if share is not None else (baseline.failures / baseline.units if baseline.units else 0.0)
    return _tails(now.failures, now.units, 0.5 + weight * p, 0.5 + weight * (1 - p))


def chance(now: Counted, baseline: Counted, share: float | None = None) -> float:
    """The first of `chances`: that something became worse by chance alone."""
    return chances(now, baseline, share)[0]


def expected_share(now_units: dict[str, int], baseline: dict[str, Counted]) -> float | None:
    """The failure share that the baseline's parts would give in the mix of parts seen now.

    With `pool = (fb + 0.5) / (nb + 1)` over the baseline and `p_c = (fb_c + 2*pool) / (nb_c + 2)` a part:
    `sum(n_c * p_c) / n`. None when nothing is seen now. So a machine type that merely runs the fragile steps more
    often is not called broken.
    """
    seen = sum(now_units.values())
    if not seen:
        return None
    failures = sum(part.failures for part in baseline.values())
    units = sum(part.units for part in baseline.values())
    pool = (failures + 0.5) / (units + 1)
    nothing = Counted(0, 0)
    total = 0.0
    for name, count in sorted(now_units.items()):
        part = baseline.get(name, nothing)
        total += count * (part.failures + 2 * pool) / (part.units + 2)
    return total / seen


def mix_adjusted_chance(now: dict[str, Counted], baseline: dict[str, Counted]) -> tuple[float, float] | None:
    """`(chance of so many failures or more, chance of so few or fewer)` over several parts, mix adjusted.

    None when nothing is seen now.
    """
    share = expected_share({name: part.units for name, part in now.items()}, baseline)
    if share is None:
        return None
    seen = Counted(sum(p.failures for p in now.values()), sum(p.units for p in now.values()))
    before = Counted(sum(p.failures for p in baseline.values()), sum(p.units for p in baseline.values()))
    return chances(seen, before, share)


def wilson_low(failures: int, units: int) -> float | None:
    """What a share is at least, one-sided 95 % (lower Wilson bound); None without units."""
    bounds = wilson(failures, units, Z_95_ONE_SIDED)
    return bounds[0] if bounds else None


def beta_below(x: float, a: float, b: float) -> float:
    """P(X < x) for X ~ Beta(a, b), the regularised incomplete beta function, for 0 <= x <= 1 and a, b > 0.

    By its continued fraction (NIST DLMF 8.17.22) on the side where that converges fast, evaluated after Lentz.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = exp(a * log(x) + b * log1p(-x) - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return min(1.0, front * _beta_fraction(x, a, b) / a)
    return max(0.0, 1 - front * _beta_fraction(1 - x, b, a) / b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    value, upper, lower = tiny, tiny, 0.0
    for step in range(10_000):
        half = step // 2
        if step == 0:
            term = 1.0
        elif step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + step - 1) * (a + step))
        else:
            term = half * (b - half) * x / ((a + step - 1) * (a + step))
        lower = 1 / (1 + term * lower or tiny)
        upper = 1 + term / upper or tiny
        value *= upper * lower
        if step and abs(upper * lower - 1) < 1e-15:
            break
    return value


def chance_of_none(expected: float) -> float:
    """How often a Poisson count with mean `expected` is 0."""
    return exp(-expected)


def chance_of_none_after(counted: int, stretches: int) -> float:
    """How often a stretch is empty when `stretches` like it held `counted` in all: `(k/(k+1))^(counted+0.5)`.

    Poisson with a mean that is known from those stretches only (Gamma posterior from Jeffreys' prior), so that a
    mean from few stretches is not taken as exact.
    """
    return exp((counted + 0.5) * log(stretches / (stretches + 1)))


def cusum_steps(
    usual: NDArray[np.float64], worse: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a failure and a success add to the evidence of a Bernoulli CUSUM (Page 1954): log likelihood ratios of
    the failure shares `worse` and `usual`, both within 0..1; NaN where a share is."""
    return np.log(worse / usual), np.log((1 - worse) / (1 - usual))


@dataclass(frozen=True)
class Evidence:
    """Where the evidence of a CUSUM stands after each step; arrays of equal length, one entry a step.

    value: the evidence. left_zero: the step with which it left 0 last, -1 while it is 0. has_crossed: since then it
    was above the threshold at some step.
    """

    value: NDArray[np.float64]
    left_zero: NDArray[np.int64]
    has_crossed: NDArray[np.bool_]


def cusum(steps: Sequence[float], thresholds: Sequence[float], above: float, start: float = 0.0) -> Evidence:
    """`S = max(0, S + step)`, at most `above` beyond the threshold of the step, from `start` on."""
    count = len(steps)
    value, left, crossed = np.zeros(count), np.full(count, -1, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    evidence, began, is_over = start, -1, False
    for place, (step, threshold) in enumerate(zip(steps, thresholds, strict=True)):
        evidence = min(evidence + step, threshold + above)
        if evidence <= 0:
            evidence, began, is_over = 0.0, -1, False
            continue
        if began < 0:
            began = place
        is_over = is_over or evidence > threshold
        value[place], left[place], crossed[place] = evidence, began, is_over
    return Evidence(value, left, crossed)
