"""Why a page is made from incomplete data, in sentences: templates over the document (marking.py).

Not here: the numbers (quality.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from matokit_pipelines.reports.shapes import Period, Quality, SourceState


class HasQuality(Protocol):
    """What a report's numbers must have; their document keeps it under the same names."""

    @property
    def period(self) -> Period: ...
    @property
    def now(self) -> datetime: ...
    @property
    def watermark(self) -> datetime | None: ...
    @property
    def quality(self) -> Quality: ...


_COMPARED = (
    ("in_period", "in this period"),
    ("in_period_before", "in the period before, with which this one is compared"),
)
_LOSSES = (
    ("truncated", "event of {} was cut off at the source", "events of {} were cut off at the source"),
    (
        "open_differences",
        "day of {} differs from the source's own report",
        "days of {} differ from the source's own report",
    ),
)


def incomplete(numbers: HasQuality) -> Iterator[str]:
    """Why the page is made from incomplete data; nothing when it is not."""
    if numbers.watermark is None:
        yield "how far the data reach is not known."
    elif numbers.watermark < numbers.period.end:
        yield "data to {watermark|instant_of_year}."
    for row, source in enumerate(numbers.quality.sources):
        at = f"quality.sources.{row}"
        if source.proven_from is None or source.proven_from > numbers.period.start:
            yield f"data of {{{at}.source|text}} begin {{{at}.proven_from|instant_of_year}}."
        if source.watermark != numbers.watermark and (source.watermark or numbers.now) < numbers.period.end:
            yield f"data of {{{at}.source|text}} to {{{at}.watermark|instant_of_year}}."
        for side, when in _COMPARED:
            for field, one, several in _LOSSES:
                found = getattr(getattr(source, side), field)
                if found:
                    words = many(found, one, several).replace("{}", f"{{{at}.source|text}}")
                    yield f"{{{at}.{side}.{field}|count}} {words} {when}."
        yield from _gaps(at, source)


def _gaps(at: str, source: SourceState) -> Iterator[str]:
    """Windows that do not add up, the first ones by name."""
    for place, gap in enumerate(source.gaps):
        one = f"{at}.gaps.{place}"
        counts = f", {{{one}.announced|count}} rows announced" if gap.announced is not None else ""
        yield (
            f"{{{at}.source|text}} from {{{one}.start|instant_of_year}} to {{{one}.end|instant_of_year}} does not add "
            f"up: {{{one}.received|count}} rows received{counts}."
        )
    if source.more_gaps:
        windows = many(source.more_gaps, "window of {} does not", "windows of {} do not")
        yield f"{{{at}.more_gaps|count}} more {windows.replace('{}', f'{{{at}.source|text}}')} add up either."


def many(value: int, one: str, several: str) -> str:
    """The word for a count."""
    return one if value == 1 else several
