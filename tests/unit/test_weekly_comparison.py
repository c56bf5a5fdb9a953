"""More than chance, or not: units, shared keys, many rows at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.reports.comparison import (
    ALPHA,
    Tally,
    counted,
    is_new_failing,
    keys_are_shared,
    verdict,
    verdicts_of_rows,
)


def tally(failures: int, units: int, machines: int = 5) -> Tally:
    return Tally(units, failures, units, failures, machines)


@pytest.mark.parametrize(
    ("now", "before", "word"),
    [
        (tally(30, 100), tally(5, 100), "worse"),
        (tally(5, 100), tally(30, 100), "better"),
        (tally(6, 100), tally(5, 100), "could be chance"),
        (tally(9, 9), tally(0, 500), "too few"),
        (tally(50, 100), tally(0, 9), "too few"),
        (tally(0, 0), tally(0, 0), "too few"),
    ],
)
def test_verdicts(now, before, word):
    found, how_likely = verdict({"a": now}, {"a": before}, shared_keys=False)
    assert found == word
    assert (how_likely is None) == (word == "too few")


def test_another_mix_is_no_change_but_a_worse_part_is():
    before = {"safe": tally(0, 400), "fragile": tally(25, 100)}
    assert verdict({"safe": tally(0, 100), "fragile": tally(100, 400)}, before, shared_keys=False)[0] != "worse"
    assert verdict({"safe": tally(30, 100), "fragile": tally(25, 100)}, before, shared_keys=False)[0] == "worse"


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_a_verdict_never_is_both_ways(failed, more, failed_before, more_before):
    now, before = tally(failed, failed + more), tally(failed_before, failed_before + more_before)
    word, _ = verdict({"a": now}, {"a": before}, shared_keys=False)
    if word == "worse":
        assert failed * (failed_before + more_before) > failed_before * (failed + more)
    if word == "better":
        assert failed * (failed_before + more_before) < failed_before * (failed + more)


def test_one_key_with_over_thirty_percent_is_no_machine():
    assert not keys_are_shared(30, 100)
    assert keys_are_shared(31, 100)
    assert not keys_are_shared(0, 0)


def test_shared_keys_halve_events_with_failures_down_and_events_up():
    seen = counted(Tally(events=11, failures=5, units=1, unit_failures=1), shared_keys=True)
    assert (seen.failures, seen.units) == (2, 6)


def test_of_very_many_rows_only_the_sure_ones_are_marked():
    """One row at a chance just below the limit is marked alone, and not among a thousand others."""
    odd = tally(9, 50)
    base = tally(20, 400)
    alone = verdicts_of_rows({"odd": odd}, {"odd": base}, shared_keys=False)["odd"]
    assert alone[0] == "worse"
    assert 0.0001 < alone[1] < ALPHA
    calm = {f"calm{n}": tally(3, 50) for n in range(1000)}
    many = verdicts_of_rows({"odd": odd, **calm}, {"odd": base, **dict.fromkeys(calm, base)}, shared_keys=False)
    assert many["odd"][0] == "could be chance"
    broken = verdicts_of_rows({"odd": tally(45, 50), **calm}, dict.fromkeys(["odd", *calm], base), shared_keys=False)
    assert broken["odd"][0] == "worse"


@pytest.mark.parametrize(
    ("now", "week_before", "history", "shared", "new"),
    [
        (tally(8, 40), tally(0, 40), tally(0, 160), False, True),
        (tally(8, 40), tally(1, 40), tally(1, 160), False, False),
        (tally(8, 40, machines=1), tally(0, 40), tally(0, 160), False, False),
        (tally(1, 40), tally(0, 40), tally(0, 160), False, False),
        (tally(8, 40), tally(0, 40), tally(30, 160), False, False),
        (tally(9, 20), Tally(), Tally(), False, True),
        (tally(2, 20), Tally(), Tally(), False, False),
        (tally(9, 9), Tally(), Tally(), False, False),
        (tally(30, 80, machines=1), tally(0, 80), tally(0, 320), True, True),
    ],
)
def test_new_failing_components(now, week_before, history, shared, new):
    assert is_new_failing(now, week_before, history, shared_keys=shared) is new
