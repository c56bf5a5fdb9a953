"""Whether a question is answered from the tables, and which runs of empty periods are looked up in the log."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.toolserver.web.asking import runs_of
from matokit_pipelines.toolserver.web.dates import Period, Span, span_of
from matokit_pipelines.toolserver.web.tables import answers

TODAY = date(2026, 11, 20)
KEPT: list[Period] = ["day", "week", "month"]
STATES = st.sampled_from(["final", "provisional", "unknown", None])


@st.composite
def questions(draw: st.DrawFn) -> tuple[Span, dict[tuple[str, date], str]]:
    """A span, and what the tables hold of its periods and of its days."""
    period = draw(st.sampled_from(["day", "week", "month", "year", "range"]))
    text = draw(st.sampled_from(["today", "yesterday", "last3", "previous2", "2026-11-02,2026-11-08"]))
    span = span_of(period, text, TODAY)  # type: ignore[arg-type]
    some = draw(st.booleans())
    states: dict[tuple[str, date], str] = {}
    for one in (span, span.as_days()):
        for part in one.parts:
            state = draw(STATES) if some and draw(st.integers(0, 20)) == 0 else "final"
            if state is not None:
                states[one.period, part.start] = state
    return span, states


@given(question=questions(), segment=st.sampled_from([None, "deviceType==smartphone"]), fresh=st.booleans())
def test_the_tables_answer_only_what_they_wholly_hold(
    question: tuple[Span, dict[tuple[str, date], str]], segment: str | None, fresh: bool
) -> None:
    span, states = question
    found = answers(span, states, segment=segment, fresh=fresh)
    needed = span if span.period in KEPT else span.as_days()
    known = all(states.get((needed.period, part.start)) in ("final", "provisional") for part in needed.parts)
    if segment or fresh or not known:
        assert found is None
    else:
        assert found == needed
        assert (found.start, found.end) == (span.start, span.end)


def test_one_unknown_day_of_a_range_sends_the_question_to_matomo() -> None:
    span = span_of("range", "2026-11-01,2026-11-10", TODAY)
    states = {("day", part.start): "final" for part in span.as_days().parts}
    assert answers(span, states, segment=None, fresh=False) == span.as_days()
    states["day", date(2026, 11, 4)] = "unknown"
    assert answers(span, states, segment=None, fresh=False) is None
    del states["day", date(2026, 11, 4)]
    assert answers(span, states, segment=None, fresh=False) is None


@given(days=st.lists(st.dates(date(2026, 10, 1), date(2026, 11, 20)), max_size=40, unique=True))
def test_runs_hold_each_period_once_and_neighbours_together(days: list[date]) -> None:
    parts = [span_of("day", day.isoformat(), TODAY).parts[0] for day in days]
    runs = runs_of(parts)
    assert sorted(part.start for run in runs for part in run) == sorted(days)
    for run in runs:
        assert [part.start.toordinal() for part in run] == list(
            range(run[0].start.toordinal(), run[0].start.toordinal() + len(run))
        )
    ends = {run[-1].end for run in runs}
    assert not any(end.toordinal() + 1 == run[0].start.toordinal() for run in runs for end in ends)
