"""One call of an installer tool from its start to its answer: the snapshot, the days, the doubts, the head.

Not here: what a tool counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from matokit_pipelines.reports.comparison import Tally, Verdict
from matokit_pipelines.toolserver.installer.asking import DayParameters, Span, SpanParameters, span_of
from matokit_pipelines.toolserver.installer.doubts import doubts, told
from matokit_pipelines.toolserver.installer.ground import Ground, ground_of
from matokit_pipelines.toolserver.installer.words import beside
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.warehouse.serving import Reader
from matokit_pipelines.windows import ONE_DAY, local_date


@dataclass(frozen=True)
class Call:
    """A call about days. is_compared: whether the span before was asked for."""

    kit: Kit
    reader: Reader
    ground: Ground
    span: Span
    environment: str
    is_compared: bool

    def beside(self, now: Tally, before: Tally, word: Verdict) -> str:
        """What the span before says, without a full stop."""
        if not self.before_is_known:
            return f"nothing is recorded {self.when_before} to compare with"
        return beside(now, before, word, self.when_before)

    @property
    def since(self) -> date:
        """The first day that is read: of the span before where somebody compares."""
        return self.span.before.first if self.is_compared else self.span.first

    @property
    def when_before(self) -> str:
        """`from 2026-11-08 to 2026-11-14`."""
        return self.span.before.words

    @property
    def before_is_known(self) -> bool:
        """Whether the span before was recorded at all, in part at least."""
        first = self.ground.first_day
        return first is not None and first <= self.span.before.last

    def answer(self, summary: str, more: int = 0, **rest: Any) -> Answer:
        """The answer with its head; `summary` a sentence without what makes it less certain."""
        before = self.span.before if self.is_compared else None
        found = doubts(self.ground, self.kit.loaded, self.kit.clock.now(), self.span, before)
        compared = {"previous_first_day": str(before.first), "previous_last_day": str(before.last)} if before else {}
        head = {
            "summary": told(summary, found), "as_of": stamp(self.ground.watermark), "environment": self.environment,
            "first_day": str(self.span.first), "last_day": str(self.span.last), **compared,
            "data_complete": not found, "more": more,
        }  # fmt: skip
        return Answer(head | rest, self.ground.watermark)


@contextmanager
def call(kit: Kit, asked: DayParameters, *, needs_events: bool = True) -> Iterator[Call]:
    """One snapshot for all that a call asks. Without events no day is complete; who needs none asks up to yesterday."""
    with kit.snapshots.reading() as reader:
        ground = ground_of(kit.snapshots, reader)
        yesterday = local_date(kit.clock.now(), ground.zone) - ONE_DAY
        span = span_of(asked, ground, None if needs_events else yesterday)
        environment = asked.environment if isinstance(asked, SpanParameters) else "all"
        yield Call(kit, reader, ground, span, environment, asked.compare is not None)


def stamp(at: datetime | None) -> str | None:
    """ISO 8601 in UTC."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
