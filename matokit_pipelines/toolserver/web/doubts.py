"""Whether the tables answer a question, and what to say beside figures that may lack something.

The tables are asked first, Matomo where they do not answer; and when Matomo does not either, the tables answer with
what was true when they were last read, and say so. Not here: what the tables hold (tables.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.web import tables
from matokit_pipelines.toolserver.web.asking import Asked
from matokit_pipelines.toolserver.web.dates import Part, Span
from matokit_pipelines.toolserver.web.shaping import stamp
from matokit_pipelines.toolserver.web.tables import Held
from matokit_pipelines.warehouse.web_planning import SETTLING
from matokit_pipelines.windows import ONE_DAY, start_of_day

_OF_THE_QUESTION = ("client", "unknown")  # asking later or elsewhere would not help
Found = TypeVar("Found")


@dataclass(frozen=True)
class Doubts:
    """What figures may lack.

    unread: days without reported visits when last read, within longer periods. old: periods that were last read
    before they were over, or long ago; `read_at`: when that was; `because`: why Matomo gives no answer now.
    """

    unread: Sequence[date] = ()
    old: Sequence[Part] = ()
    read_at: datetime | None = None
    because: str = ""

    def within(self, part: Part) -> Doubts:
        """Those of one period."""
        return replace(
            self,
            unread=[day for day in self.unread if part.start <= day <= part.end],
            old=[one for one in self.old if one.start <= part.end and one.end >= part.start],
        )

    @property
    def note(self) -> str | None:
        """The note beside the figures; None without a doubt."""
        said = []
        if self.old:
            said.append(f"Only what Matomo had counted by {stamp(self.read_at)}; nothing newer now: {self.because}")
        if self.unread:
            named = ", ".join(map(str, self.unread[:5])) + (" and more" if len(self.unread) > 5 else "")
            said.append(
                f"Matomo reported no visits for {named} when it was last read, which may mean that it had not archived "
                "them: they may be missing here."
            )
        return " ".join(said) or None


def tables_first(
    asked: Asked, of_tables: Callable[[Asked], Found | None], of_matomo: Callable[[Asked], Found]
) -> Found:
    """The answer of the tables, else Matomo's, else that of the tables with what is old in them."""
    if (found := of_tables(asked)) is not None:
        return found
    try:
        return of_matomo(asked)
    except Problem as problem:
        if problem.category in _OF_THE_QUESTION:
            raise
        found = of_tables(replace(asked, unanswered=_why(problem, asked.now)))
        if found is None:
            raise
        return found


def _why(problem: Problem, now: datetime) -> str:
    """Why there is no answer of Matomo, which may not even have been asked, and from when on it will be."""
    if problem.category != "network" or problem.retry_after is None:
        return problem.message
    return f"{problem.message} It is not asked this again before {stamp(now + timedelta(seconds=problem.retry_after))}."


def answerable(asked: Asked, held: Held) -> Span | None:
    """The span as the tables can answer it; None when Matomo has to be asked."""
    span = tables.answers(asked.span, held.states, segment=asked.segment, fresh=asked.fresh)
    return None if span and not asked.unanswered and old_parts(asked, held, span) else span


def doubts_of(asked: Asked, held: Held, span: Span) -> Doubts:
    """What figures of the tables over that span may lack."""
    old = old_parts(asked, held, span)
    moments = [moment for part in old if (moment := held.moments.get((span.period, part.start)))]
    return Doubts(unread_days(held, span), old, min(moments, default=None), asked.unanswered)


def live_doubts(asked: Asked) -> Doubts:
    """What figures that Matomo gives for a span may lack, by what the tables know of its days."""
    with tables.held_in(asked.kit, asked.site) as found:
        return Doubts(unread_days(found[1], asked.span)) if found else Doubts()


def unread_days(held: Held, span: Span) -> list[date]:
    """The days without reported visits that nothing proves, within the longer periods of a span."""
    if span.period == "day" or span.start == span.end:
        return []  # what has figures of its own is archived
    return [day for day in span.days() if held.states.get(("day", day)) == "unknown"]


def old_parts(asked: Asked, held: Held, span: Span) -> list[Part]:
    """The periods that a pass should have read again: part of a period is never answered for the whole of it."""
    every = timedelta(minutes=asked.kit.loaded.settings.web_reports.every_minutes)
    return [
        part
        for part in span.parts
        if held.states.get((span.period, part.start)) == "provisional"
        and (moment := held.moments.get((span.period, part.start))) is not None
        and is_old(moment, start_of_day(part.end + ONE_DAY, held.zone), asked.now, every)
    ]


def is_old(read_at: datetime, over_at: datetime, now: datetime, every: timedelta) -> bool:
    """Whether a provisional reading of a period that is over at `over_at` missed something, or two passes in a row."""
    if now < over_at:
        return now - read_at > max(2 * every, SETTLING)
    return read_at < over_at or now >= over_at + SETTLING + 2 * every
