"""Periods and dates as a person writes them, made absolute."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.web.dates import MOST_PARTS, PERIODS, Period, Span, span_of

TODAY = date(2026, 11, 20)  # a Friday


def span_or_none(period: Period, text: str, today: date, by_period: bool = False) -> Span | None:
    """The span, None where the text is refused; any other failure comes through."""
    try:
        return span_of(period, text, today, by_period=by_period)
    except Problem:
        return None


def labels(span: Span) -> list[str]:
    return [part.label for part in span.parts]


@pytest.mark.parametrize(
    ("period", "text", "asked", "named"),
    [
        ("day", "today", "2026-11-20", ["2026-11-20"]),
        ("day", " Yesterday ", "2026-11-19", ["2026-11-19"]),
        ("day", "2026-02-28", "2026-02-28", ["2026-02-28"]),
        ("week", "2026-11-18", "2026-11-16", ["2026-11-16,2026-11-22"]),
        ("month", "2026-11-18", "2026-11-01", ["2026-11"]),
        ("month", "2026-02", "2026-02-01", ["2026-02"]),
        ("day", "2026-02", "2026-02-01", ["2026-02"]),
        ("year", "2026-02", "2026-01-01,2026-11-20", ["2026"]),
        ("year", "today", "2026-01-01", ["2026"]),
        ("day", "last3", "2026-11-18,2026-11-20", ["2026-11-18", "2026-11-19", "2026-11-20"]),
        ("day", "previous2", "2026-11-18,2026-11-19", ["2026-11-18", "2026-11-19"]),
        ("week", "last2", "2026-11-09,2026-11-20", ["2026-11-09,2026-11-15", "2026-11-16,2026-11-22"]),
        ("month", "previous2", "2026-09-01,2026-10-31", ["2026-09", "2026-10"]),
        ("year", "last2", "2025-01-01,2026-11-20", ["2025", "2026"]),
        ("day", "2026-11-19,2026-12-01", "2026-11-19,2026-11-20", ["2026-11-19", "2026-11-20"]),
        ("week", "2026-11-11,2026-11-17", "2026-11-09,2026-11-20", ["2026-11-09,2026-11-15", "2026-11-16,2026-11-22"]),
        ("range", "2026-11-01,yesterday", "2026-11-01,2026-11-19", ["2026-11-01,2026-11-19"]),
        ("range", "last7", "2026-11-14,2026-11-20", ["2026-11-14,2026-11-20"]),
        ("range", "previous7", "2026-11-13,2026-11-19", ["2026-11-13,2026-11-19"]),
        ("range", "2026-11", "2026-11-01,2026-11-20", ["2026-11-01,2026-11-20"]),
        ("range", "today", "2026-11-20,2026-11-20", ["2026-11-20,2026-11-20"]),
    ],
)
def test_what_is_meant(period: Period, text: str, asked: str, named: list[str]) -> None:
    span = span_of(period, text, TODAY)
    assert (span.asked_as, labels(span)) == (asked, named)


def test_a_month_by_days_is_rows_of_days_where_rows_are_wanted() -> None:
    span = span_of("day", "2026-02", TODAY, by_period=True)
    assert labels(span)[::27] == ["2026-02-01", "2026-02-28"]


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13", "2026-02-30", "last0", "last401", "2026-11-05,2026-11-01", "2026-11-21", "2027-01",
     "1989-01-01", "2026-1-1", "today,2026", "2026-11-01,2026-11-02,2026-11-03", "20261101", "2026-11-01T00:00"],
)  # fmt: skip
def test_what_is_no_date_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(Problem) as refusal:
        span_of("day", text, TODAY)
    assert refusal.value.status == 400
    assert refusal.value.guidance


@pytest.mark.parametrize(
    ("period", "text", "before"),
    [
        ("day", "today", "2026-11-19"),
        ("week", "today", "2026-11-09,2026-11-15"),
        ("month", "2026-03", "2026-02"),
        ("year", "today", "2025"),
        ("day", "last7", "2026-11-07,2026-11-13"),
        ("month", "previous2", "2026-07-01,2026-08-31"),
        ("range", "2026-11-01,2026-11-10", "2026-10-22,2026-10-31"),
    ],
)
def test_the_span_of_equal_length_before(period: Period, text: str, before: str) -> None:
    assert span_of(period, text, TODAY).before().label == before


DATES = st.dates(date(2010, 1, 1), date(2030, 12, 31))
TEXTS = st.one_of(
    st.sampled_from(["today", "yesterday"]),
    st.builds(lambda word, count: f"{word}{count}", st.sampled_from(["last", "previous"]), st.integers(1, 9)),
    st.builds(lambda day: f"{day:%Y-%m}", DATES),
    st.builds(lambda day: f"{day}", DATES),
    st.builds(lambda day, days: f"{day},{day + timedelta(days=days)}", DATES, st.integers(0, 200)),
)


@given(period=st.sampled_from(PERIODS), text=TEXTS, today=DATES, by_period=st.booleans())
def test_spans_are_gapless_and_never_begin_in_the_future(
    period: Period, text: str, today: date, by_period: bool
) -> None:
    span = span_or_none(period, text, today, by_period)
    if span is None:
        return
    assert 1 <= len(span.parts) <= MOST_PARTS
    assert all(part.start <= today and part.start <= part.end for part in span.parts)
    assert all(one.end + timedelta(days=1) == other.start for one, other in pairwise(span.parts))
    days = list(span.days())
    assert (days[0], days[-1]) == (span.start, span.end)
    assert span.end <= today
    assert labels(span.as_days()) == [day.isoformat() for day in span.days()]
    before = span.before()
    assert len(before.parts) == len(span.parts)
    assert before.parts[-1].end + timedelta(days=1) == span.start
    if span.period == "range":
        assert before.end - before.start == span.end - span.start
    for word in ("today", "last", "previous", "yesterday"):
        assert word not in span.asked_as


@given(text=st.text(max_size=30), period=st.sampled_from(PERIODS))
def test_any_text_is_a_span_or_refused(text: str, period: Period) -> None:
    span = span_or_none(period, text, TODAY)
    assert span is None or span.parts
