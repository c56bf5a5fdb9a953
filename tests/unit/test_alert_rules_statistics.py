"""The statistics that alert rules need: the beta distribution, empty stretches, the walk of a CUSUM."""

from __future__ import annotations

from fractions import Fraction
from math import comb, exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.statistics import (
    beta_below,
    chance_of_none,
    chance_of_none_after,
    cusum,
    cusum_steps,
    wilson,
    wilson_low,
)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 99))
def test_beta_is_a_binomial_tail_for_whole_numbers(a: int, b: int, hundredth: int) -> None:
    """I_x(a, b) = P(Binomial(a + b - 1, x) >= a) (NIST DLMF 8.17.5)."""
    x, n = Fraction(hundredth, 100), a + b - 1
    tail = sum(comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert beta_below(hundredth / 100, a, b) == pytest.approx(float(tail), rel=1e-9, abs=1e-13)


@given(st.floats(0.5, 3_000), st.floats(0.5, 3_000), st.floats(0.001, 0.999))
def test_beta_of_both_sides_is_one(a: float, b: float, x: float) -> None:
    assert beta_below(x, a, b) + beta_below(1 - x, b, a) == pytest.approx(1, abs=1e-9)
    assert 0 <= beta_below(x, a, b) <= 1


def test_beta_at_half_units() -> None:
    """Beta(1/2, 1/2) is the arcsine distribution: a quarter lies below sin(pi/8)^2, half below 1/2."""
    assert beta_below(0.5, 0.5, 0.5) == pytest.approx(0.5, abs=1e-12)
    assert beta_below(0.14644660940672624, 0.5, 0.5) == pytest.approx(0.25, abs=1e-12)
    assert (beta_below(0, 2, 3), beta_below(1, 2, 3), beta_below(-1, 2, 3)) == (0, 1, 0)


def test_wilson_low_is_one_sided() -> None:
    assert wilson_low(0, 0) is None
    assert wilson_low(3, 3) == pytest.approx(3 / (3 + 1.6448536269514722**2))
    low, both = wilson_low(12, 20), wilson(12, 20)
    assert low is not None
    assert both is not None
    assert both[0] < low < 0.6


@given(st.integers(0, 500), st.integers(1, 4))
def test_an_empty_stretch_is_likelier_where_the_mean_is_an_estimate(counted: int, stretches: int) -> None:
    assert chance_of_none_after(counted, stretches) == pytest.approx(
        float(Fraction(stretches, stretches + 1) ** counted) * (stretches / (stretches + 1)) ** 0.5
    )
    assert chance_of_none_after(counted, stretches) >= chance_of_none((counted + 0.5) / stretches) * 0.99


def test_a_poisson_count_of_none() -> None:
    assert chance_of_none(0) == 1
    assert chance_of_none(7) == pytest.approx(exp(-7))


def test_cusum_steps_are_log_likelihood_ratios() -> None:
    failure, success = cusum_steps(np.array([0.05, np.nan]), np.array([0.20, np.nan]))
    assert (failure[0], success[0]) == pytest.approx((log(4), log(0.8 / 0.95)))
    assert np.isnan(failure[1])


@given(st.lists(st.tuples(st.sampled_from((2.0, 1.5, -0.3, -1.0, 0.0)), st.floats(3, 6)), max_size=60))
def test_cusum_walks_between_nothing_and_a_little_beyond_the_threshold(walk: list[tuple[float, float]]) -> None:
    steps, thresholds = [step for step, _ in walk], [threshold for _, threshold in walk]
    found = cusum(steps, thresholds, 3.0)
    value, left, crossed = 0.0, -1, False
    for place, (step, threshold) in enumerate(walk):
        value = max(0.0, min(value + step, threshold + 3.0))
        left = -1 if value == 0 else place if left < 0 else left
        crossed = value > 0 and (crossed or value > threshold)
        assert (found.value[place], found.left_zero[place], bool(found.has_crossed[place])) == (value, left, crossed)


def test_cusum_forgets_where_it_reaches_nothing() -> None:
    found = cusum([2.0, 3.0, -1.0, -9.0, 2.0, 2.5], [4.0] * 6, 3.0)
    assert found.value.tolist() == [2.0, 5.0, 4.0, 0.0, 2.0, 4.5]
    assert found.left_zero.tolist() == [0, 0, 0, -1, 4, 4]
    assert found.has_crossed.tolist() == [False, True, True, False, False, True]
