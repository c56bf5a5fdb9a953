"""Since when records hold what the weekly summary counts and compares: what was not recorded is never 0.

Not here: the sentences about it (words.py), how a source proves from when its data are whole (extraction).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from matokit_pipelines.reports.shapes import SourceState
from matokit_pipelines.windows import day_window, zone_named


@dataclass(frozen=True)
class Records:
    """`first`: from when any source is whole, `whole`: from when all are (UTC); None where that is not known."""

    first: datetime | None
    whole: datetime | None
    zone: str

    def hold(self, day: date) -> bool:
        """Whether anything of this day of the zone may have been recorded."""
        return self.first is not None and self.first < day_window(day, zone_named(self.zone)).end

    def hold_all_since(self, day: date) -> bool:
        """Whether every source is whole from the start of this day of the zone."""
        return self.whole is not None and self.whole <= day_window(day, zone_named(self.zone)).start

    def began_before(self, day: date) -> bool:
        """Whether anything was recorded before this day of the zone, so that a thing can be new on it."""
        return self.first is not None and self.first < day_window(day, zone_named(self.zone)).start


def records_of(sources: Sequence[SourceState], zone: str) -> Records:
    """From the sources of a page's quality."""
    proven = [source.proven_from for source in sources]
    known = [one for one in proven if one is not None]
    whole = max(known) if known and len(known) == len(proven) else None
    return Records(min(known, default=None), whole, zone)
