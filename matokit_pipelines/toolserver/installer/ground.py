"""What every installer answer stands on: the days that may be spoken of, the sources, their losses, known names.

Kept for each snapshot, so that a call asks only its own question. Not here: what is missing in words (doubts.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from matokit_pipelines.reports.comparison import keys_are_shared
from matokit_pipelines.toolserver.installer.kept import kept
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.warehouse.serving import Reader, SnapshotStore
from matokit_pipelines.warehouse.snapshots import Manifest
from matokit_pipelines.windows import Window, day_window, monday_of, zone_named


@dataclass(frozen=True)
class Gap:
    """A window of a source that does not add up; rows announced (None: not said) and received."""

    source: str
    window: Window
    announced: int | None
    received: int


@dataclass(frozen=True)
class LossyDay:
    """A day of a source's site, in UTC: events cut off at the source, and whether its own report counts others."""

    source: str
    window: Window
    truncated: int
    differs: bool


@dataclass(frozen=True)
class Ground:
    """Of one snapshot. last_day: the last complete day, first_day: the first that was read, days of the project's zone;
    None where nothing was read. sources: rows of `installer_sources`. names: by kind (component, architecture,
    os_family, os). weeks: `(monday, environment) -> (events of the largest machine key, events)`. first_seen: rows of
    `installer_first_seen`, releases in order."""

    manifest: Manifest
    zone: ZoneInfo
    first_day: date | None
    last_day: date | None
    sources: Sequence[Mapping[str, Any]]
    gaps: Sequence[Gap]
    lossy_days: Sequence[LossyDay]
    names: Mapping[str, Sequence[str]]
    weeks: Mapping[tuple[date, str], tuple[int, int]]
    first_seen: Sequence[Mapping[str, Any]]

    @property
    def watermark(self) -> datetime | None:
        """Up to where the data are complete, UTC."""
        return self.manifest.watermark

    @property
    def counting(self) -> list[Mapping[str, Any]]:
        """The sources that count; a mirror does not."""
        return [source for source in self.sources if source["mirror_of"] is None]

    @property
    def whole_from(self) -> datetime | None:
        """From when the records of all sources are whole, UTC; None where that is not known."""
        proven = [source["proven_from"] for source in self.counting]
        return max(proven) if proven and None not in proven else None

    def keys_are_shared(self, first: date, last: date, environment: str) -> bool:
        """Whether the largest keys hold so much of the weeks of these days that keys cannot be machines."""
        monday = monday_of(first)
        found = [one for (week, of), one in self.weeks.items() if monday <= week <= last and environment in ("all", of)]
        return keys_are_shared(sum(largest for largest, _ in found), sum(events for _, events in found))

    def is_recorded(self, first: date) -> bool:
        """Whether the records of all sources reach back to the start of this day."""
        since = self.whole_from
        return since is not None and since <= day_window(first, self.zone).start


def ground_of(store: SnapshotStore, reader: Reader) -> Ground:
    """The ground of the snapshot that is being read."""
    return kept(store, reader, "ground", _read)


def _read(reader: Reader) -> Ground:
    [days] = reader.rows(query("days"))
    sources = reader.rows(query("sources"))
    zones = {source["source"]: zone_named(source["zone"]) for source in sources}
    names: dict[str, list[str]] = {}
    for row in reader.rows(query("names")):
        names.setdefault(row["kind"], []).append(row["name"])
    return Ground(
        manifest=reader.manifest,
        zone=zone_named(reader.manifest.project_zone),
        first_day=days["first_known_day"],
        last_day=days["last_complete_day"],
        sources=sources,
        gaps=[
            Gap(row["source"], Window(row["window_start"], row["window_end"]), row["announced"], row["received"])
            for row in reader.rows(query("gaps"))
        ],
        lossy_days=[
            LossyDay(
                row["source"], day_window(row["site_date"], zones[row["source"]]), row["truncated"], row["differs"]
            )
            for row in reader.rows(query("lossy_days"))
            if row["source"] in zones
        ],
        names=names,
        first_seen=reader.rows(query("first_seen")),
        weeks={
            (row["week_start"], row["environment"]): (row["largest_machine_events"], row["events"])
            for row in reader.rows(query("shared_keys"))
        },
    )
