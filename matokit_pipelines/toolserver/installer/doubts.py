"""What makes an answer less certain, in sentences: old data, windows that do not add up, losses, late beginnings.

Not here: the state of each source (data_status.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.settings import Loaded
from matokit_pipelines.toolserver.installer.asking import Span
from matokit_pipelines.toolserver.installer.ground import Ground
from matokit_pipelines.toolserver.installer.words import instant, many, shown
from matokit_pipelines.windows import Window

TOLD = 2


@dataclass(frozen=True)
class Missing:
    """What is known to be missing of a stretch of time, over sources that count (or of one)."""

    windows: int = 0
    days: int = 0
    truncated: int = 0

    def __bool__(self) -> bool:
        return bool(self.windows or self.days or self.truncated)

    @property
    def words(self) -> str:
        parts = [
            many(self.windows, "window does not add up", "windows do not add up") if self.windows else "",
            many(self.days, "day differs from its source's report", "days differ from their source's report")
            if self.days
            else "",
            many(self.truncated, "event was cut off at the source", "events were cut off at the source")
            if self.truncated
            else "",
        ]
        return ", ".join(part for part in parts if part)


def missing(ground: Ground, window: Window, source: str | None = None) -> Missing:
    """Of the sources that count, or of the one that is named."""
    names = {source} if source else {one["source"] for one in ground.counting}
    days = [one for one in ground.lossy_days if one.source in names and _touches(one.window, window)]
    return Missing(
        sum(one.source in names and _touches(one.window, window) for one in ground.gaps),
        sum(one.differs for one in days),
        sum(one.truncated for one in days),
    )


def _touches(one: Window, other: Window) -> bool:
    return one.start < other.end and one.end > other.start


def stale_after(loaded: Loaded) -> timedelta:
    """How old complete data may be."""
    return timedelta(hours=loaded.settings.alerts.rules.data_stale.after_hours)


def is_stale(mark: datetime | None, loaded: Loaded, now: datetime) -> bool:
    return mark is not None and now - mark > stale_after(loaded)


def doubts(ground: Ground, loaded: Loaded, now: datetime, span: Span, before: Span | None = None) -> list[str]:
    """Sentences; none where all that is known is whole and fresh."""
    return list(_doubts(ground, loaded, now, span, before))


def _doubts(ground: Ground, loaded: Loaded, now: datetime, span: Span, before: Span | None) -> Iterator[str]:
    mark = ground.watermark
    window = span.window(ground)
    if mark is None:
        yield "How far the data reach is not known."
    elif span.last == ground.last_day and is_stale(mark, loaded, now):
        yield f"The data are old: complete to {instant(mark)} only, {lasting(now - mark)} ago."
    for source in ground.counting:
        if (to := source["watermark"]) is None or to < window.end:
            yield f"Source {shown(source['source'])} is complete to {instant(to)} only."
    if lost := missing(ground, window):
        yield f"The data of these days have holes: {lost.words}."
    if before and (lost := missing(ground, before.window(ground))):
        yield f"The days compared with have holes: {lost.words}."
    if not ground.is_recorded(span.first):
        yield f"Records are whole only from {instant(ground.whole_from)} on."
    elif before and not ground.is_recorded(before.first):
        yield f"The days compared with are not recorded whole; records begin {instant(ground.whole_from)}."


def told(summary: str, found: list[str]) -> str:
    """The sentence with what makes it less certain behind it, the first ones only."""
    more = len(found) - TOLD
    rest = [f"{many(more, 'more doubt')} in GetDataStatus."] if more > 0 else []
    return " ".join([summary, *found[:TOLD], *rest])
