"""The statistics against exact fractions, worked out here from their definitions."""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.statistics import (
    BASELINE_CAP,
    Counted,
    chance,
    chances,
    expected_share,
    mix_adjusted_chance,
    rate,
    wilson,
)

counted = st.integers(0, 40).flatmap(lambda n: st.builds(Counted, st.integers(0, n), st.just(n)))


def rising(start: Fraction, steps: int) -> Fraction:
    """start * (start + 1) * ... : the ratio of two gamma functions."""
    product = Fraction(1)
    for step in range(steps):
        product *= start + step
    return product


def exact_tail(f: int, n: int, a: Fraction, b: Fraction) -> Fraction:
    """P(F >= f) for a beta-binomial, summed as fractions: C(n, k) B(k + a, n - k + b) / B(a, b)."""
    whole = rising(a + b, n)
    return sum((comb(n, k) * rising(a, k) * rising(b, n - k) for k in range(f, n + 1)), Fraction(0)) / whole


def exact_chance(now: Counted, before: Counted) -> Fraction:
    weight = min(before.units, BASELINE_CAP)
    share = Fraction(before.failures, before.units) if before.units else Fraction(0)
    return exact_tail(now.failures, now.units, Fraction(1, 2) + weight * share, Fraction(1, 2) + weight * (1 - share))


@given(counted, counted)
def test_chance_is_the_exact_tail(now: Counted, before: Counted) -> None:
    assert chance(now, before) == pytest.approx(float(exact_chance(now, before)), rel=1e-9, abs=1e-15)


@given(counted, counted)
def test_more_and_fewer_share_only_what_was_seen(now: Counted, before: Counted) -> None:
    both = sum(chances(now, before))
    exactly = exact_chance(now, before) - (
        exact_chance(Counted(now.failures + 1, now.units), before) if now.failures < now.units else 0
    )
    assert both == pytest.approx(1 + float(exactly), rel=1e-9)


@given(counted, counted)
def test_so_few_is_the_exact_tail_of_what_went_well(now: Counted, before: Counted) -> None:
    mirrored = (Counted(one.units - one.failures, one.units) for one in (now, before))
    exact = (
        exact_chance(*mirrored)
        if before.units
        else exact_tail(now.units - now.failures, now.units, Fraction(1, 2), Fraction(1, 2))
    )
    assert chances(now, before)[1] == pytest.approx(float(exact), rel=1e-9, abs=1e-15)


@given(counted, counted)
def test_more_failures_are_never_likelier(now: Counted, before: Counted) -> None:
    if now.failures < now.units:
        assert chance(Counted(now.failures + 1, now.units), before) <= chance(now, before) + 1e-12


def test_long_baseline_is_not_taken_as_exact() -> None:
    now = Counted(12, 40)
    assert chance(now, Counted(400, 4_000)) == pytest.approx(chance(now, Counted(40, 400)))
    assert chance(now, Counted(4, 40)) > chance(now, Counted(40, 400))


def test_very_small_chance_keeps_its_digits() -> None:
    now, before = Counted(30, 40), Counted(1, 400)
    assert chance(now, before) < 1e-20
    assert chance(now, before) == pytest.approx(float(exact_chance(now, before)), rel=1e-9)


def test_chance_without_anything_seen_or_known() -> None:
    assert chance(Counted(0, 0), Counted(3, 10)) == 1.0
    assert chance(Counted(1, 1), Counted(0, 0)) == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [(-1, 3), (4, 3), (0, -1)])
def test_impossible_counts_are_refused(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        Counted(*bad)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_bounds_solve_their_quadratic(counts: tuple[int, int]) -> None:
    """The bounds are where (p - s/n)^2 = z^2 p (1 - p) / n; computed with 40 digits."""
    successes, events = counts
    getcontext().prec = 40
    z2, n, share = Decimal("1.96") ** 2, Decimal(events), Decimal(successes) / Decimal(events)
    root = (4 * n * share * (1 - share) * z2 + z2 * z2).sqrt()
    low, high = ((2 * n * share + z2 + sign * root) / (2 * (n + z2)) for sign in (-1, 1))
    found = wilson(successes, events)
    assert found is not None
    assert found[0] == pytest.approx(float(low), abs=1e-12)
    assert found[1] == pytest.approx(float(high), abs=1e-12)
    assert 0 <= found[0] <= successes / events + 1e-12
    assert successes / events - 1e-12 <= found[1] <= 1


def test_nothing_seen_has_no_rate_and_no_bounds() -> None:
    assert rate(0, 0) is None
    assert wilson(0, 0) is None
    assert rate(0, 5) == 0.0


def test_expected_share_by_hand() -> None:
    baseline = {"a": Counted(2, 10), "b": Counted(0, 30)}
    pool = Fraction(5, 2) / 41
    by_hand = (6 * (2 + 2 * pool) / 12 + 4 * (2 * pool) / 32 + 1 * pool) / 11
    assert expected_share({"a": 6, "b": 4, "new": 1}, baseline) == pytest.approx(float(by_hand))
    assert expected_share({}, baseline) is None


def test_mix_that_moved_to_the_fragile_part_is_no_change() -> None:
    baseline = {"sturdy": Counted(5, 500), "fragile": Counted(100, 200)}
    now = {"fragile": Counted(20, 40)}
    adjusted = mix_adjusted_chance(now, baseline)
    assert adjusted is not None
    plain = chance(Counted(20, 40), Counted(105, 700))
    assert plain < 1e-4 < 0.2 < adjusted[0]
    assert mix_adjusted_chance({}, baseline) is None
