"""The written rule of recommendations: each of its limits, from both sides, in whole numbers."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.reports.monthly import deprecation
from matokit_pipelines.reports.monthly.deprecation import is_falling, is_far_below, is_under, recommendation
from matokit_pipelines.reports.monthly.judging import Judged
from matokit_pipelines.reports.monthly.numbers import monthly_numbers
from matokit_pipelines.reports.monthly.periods import days_of_month
from matokit_pipelines.reports.monthly.queries import Installed
from matokit_pipelines.reports.monthly.shapes import Deprecation, Month, Recommendation
from matokit_pipelines.reports.monthly.trend import MajorMonth
from matokit_pipelines.reports.monthly.vendor import Support
from tests.monthly_marts import LAST, MONTH, NOW, Try, snapshot_of, three_months

OLD = ("macOS", "macOS 12")  # out of support in practice since 2024-09-16
KEPT = ("macOS", "macOS 15")
REST = ("Windows", "Windows 11")
FINE = Judged("could be chance", 0.4, 100, 5, 0.05)
WORSE = Judged("worse", 0.001, 100, 30, 0.05)


def month(own: int, everything: int, name: tuple[str, str] = OLD, failed: int = 0) -> MajorMonth:
    """Installations of one version and of all; each has one event, of which `failed` of the version's failed."""
    rest = everything - own
    majors = {name: Installed(own, own, own - failed, failed), REST: Installed(rest, rest, rest, 0)}
    return MajorMonth(Month(MONTH, *days_of_month(MONTH), True, everything), majors)


def said(
    months: list[MajorMonth], name: tuple[str, str] = OLD, judged: Judged = FINE, day: date = LAST
) -> Recommendation | None:
    return recommendation(name, months, judged, 7, day)


def kind(months: list[MajorMonth], name: tuple[str, str] = OLD, judged: Judged = FINE) -> str | None:
    found = said(months, name, judged)
    return found.kind if found else None


def test_support_may_be_worth_ending_under_two_percent_in_three_months_when_the_vendor_ended_it() -> None:
    assert kind([month(19, 1000)] * 3) == "consider"


def test_exactly_two_percent_is_not_under_two_percent() -> None:
    assert kind([month(20, 1000)] * 3) is None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_of_the_three_months_must_be_under_two_percent(place: int) -> None:
    months = [month(19, 1000)] * 3
    months[place] = month(20, 1000)
    assert kind(months) is None


@pytest.mark.parametrize(("installations", "expected"), [((9, 10, 10), None), ((10, 10, 10), "consider")])
def test_fewer_than_thirty_installations_in_three_months_are_no_evidence(
    installations: tuple[int, ...], expected: str | None
) -> None:
    assert kind([month(count, 10_000) for count in installations]) == expected


def test_a_version_in_support_is_not_recommended_for_little_use_alone() -> None:
    assert kind([month(15, 1000, KEPT)] * 3, KEPT) is None


def test_a_version_that_the_table_does_not_know_is_not_taken_as_unsupported() -> None:
    name = ("Linux", "Slackware 3")
    assert kind([month(15, 1000, name)] * 3, name) is None
    failing = said([month(15, 1000, name)] * 2 + [month(15, 1000, name, 5)], name, WORSE)
    assert failing is not None
    assert (failing.kind, failing.is_unmaintained, failing.support) == ("consider", False, None)


def test_failing_needs_more_than_ten_points_and_more_than_chance() -> None:
    before = [month(10, 1000, KEPT)] * 2
    assert kind([*before, month(10, 1000, KEPT, 1)], KEPT, WORSE) is None  # exactly ten points
    assert kind([*before, month(10, 1000, KEPT, 2)], KEPT, WORSE) == "consider"
    assert kind([*before, month(10, 1000, KEPT, 9)], KEPT, FINE) is None  # could be chance


def test_both_reasons_are_told_apart() -> None:
    found = said([month(15, 1000)] * 2 + [month(15, 1000, OLD, 5)], judged=WORSE)
    assert found is not None
    assert (found.is_failing, found.is_unmaintained) == (True, True)
    assert found.gap == pytest.approx(5 / 15)


def test_the_vendor_s_last_day_is_over_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    support = Support(LAST, "vendor", "page", date(2026, 3, 31), "")
    monkeypatch.setattr(deprecation, "vendor_support", lambda: {OLD: support})
    months = [month(15, 1000)] * 3
    assert said(months, day=LAST) is not None
    assert said(months, day=date(2026, 10, 30)) is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((60, 55, 49), "watch"),
        ((60, 55, 50), None),  # exactly five percent
        ((49, 49, 48), None),  # no less in the second month
        ((40, 45, 44), None),
        ((49, 48, 47), "watch"),
    ],
)
def test_under_five_percent_and_falling_is_watched(counts: tuple[int, ...], expected: str | None) -> None:
    assert kind([month(count, 1000, KEPT) for count in counts], KEPT) == expected


def test_a_share_falls_though_counts_grow() -> None:
    months = [month(40, 1000, KEPT), month(50, 1500, KEPT), month(60, 2000, KEPT)]
    assert kind(months, KEPT) == "watch"


def test_a_month_without_installations_is_no_evidence() -> None:
    assert kind([month(40, 1000), MajorMonth(month(0, 0).month, {}), month(10, 1000)]) is None


@given(own=st.integers(0, 10**6), rest=st.integers(0, 10**6), part=st.sampled_from([20, 50]))
def test_limits_of_shares_are_exact(own: int, rest: int, part: int) -> None:
    everything = own + rest
    expected = everything > 0 and Fraction(own, everything) < Fraction(1, part)
    assert is_under(part, month(own, everything), OLD) == expected


@given(
    own=st.tuples(st.integers(0, 500), st.integers(0, 500)), others=st.tuples(st.integers(0, 500), st.integers(0, 500))
)
def test_the_limit_of_ten_points_is_exact(own: tuple[int, int], others: tuple[int, int]) -> None:
    """Successes and failures of both sides, against fractions."""
    mine, theirs = Installed(0, sum(own), *own), Installed(0, sum(others), *others)
    expected = bool(
        mine.events
        and theirs.events
        and Fraction(theirs.successes, theirs.events) - Fraction(mine.successes, mine.events) > Fraction(1, 10)
    )
    assert is_far_below(mine, theirs) == expected


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 500)), min_size=3, max_size=3))
def test_falling_is_less_each_month_than_in_the_one_before(counts: list[tuple[int, int]]) -> None:
    months = [month(own, own + rest) for own, rest in counts]
    shares = [Fraction(own, own + rest) for own, rest in counts]
    assert is_falling(months, OLD) == (shares[0] > shares[1] > shares[2])


# -- from events -----------------------------------------------------------------------------------------------------


def deprecations(events: list[Try], **rest: object) -> Deprecation:
    with snapshot_of(events, **rest) as snapshot:  # type: ignore[arg-type]
        return monthly_numbers(snapshot, MONTH, NOW).deprecation


def test_the_evidence_is_counted_from_events() -> None:
    found = deprecations(three_months())
    assert found.is_known
    (row,) = found.rows
    assert (row.kind, row.major, row.installations, row.machines) == ("consider", "macOS 12", 45, 15)
    assert [share.share for share in row.months] == [0.015, 0.015, 0.015]
    assert [one.month for one in found.months] == [date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)]
    assert row.support is not None
    assert row.support.ended_on == date(2024, 9, 16)


def test_releases_of_one_major_are_one() -> None:
    """None of them alone has thirty installations."""
    events = [
        Try(one.day, one.machine, os_release=f"macOS 12.{int(one.machine[1:]) % 3}") if one.machine[0] == "o" else one
        for one in three_months()
    ]
    assert [row.installations for row in deprecations(events).rows] == [45]


@pytest.mark.parametrize(("known_from", "is_known"), [(date(2026, 8, 2), True), (date(2026, 8, 3), False)])
def test_three_months_must_be_wholly_recorded(known_from: date, is_known: bool) -> None:
    """The 30 days that end with August begin on the 2nd."""
    found = deprecations(three_months(), known_from=known_from)
    assert found.is_known == is_known
    assert bool(found.rows) == is_known


def test_nothing_is_recommended_while_days_are_missing() -> None:
    found = deprecations(three_months(), watermark=NOW.replace(month=10, day=31, hour=12))
    assert not found.is_known
    assert found.rows == ()


def test_a_version_first_seen_after_the_first_month_is_not_recommended() -> None:
    """It has not had three months yet; `macOS 12` here stands for anything that comes late."""
    late = [one for one in three_months(old=30) if one.day.month > 8 or one.machine[0] == "n"]
    assert deprecations(late).rows == ()


def test_words_that_name_no_version_are_not_recommended() -> None:
    assert deprecations(three_months("macOS")).rows == ()
