"""Where installers ran: environments, architectures, releases; and the facts of the two dashboards made of them alone.

Not here: components and commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from matokit_pipelines.reports.dashboards.facts_names import (
    Limits,
    Made,
    added,
    indexed,
    placed,
    shortened,
)
from matokit_pipelines.reports.dashboards.widgets import WINDOWS
from matokit_pipelines.reports.marking import as_document
from matokit_pipelines.reports.shapes import Queryable

LONGEST_WINDOW = max(WINDOWS)
NOT_LISTED = -1  # a release that is not offered for choice, since it counted no event in the longest window
_RELEASE = ["os_family", "os_release"]

_DAYS = "select last_complete_day, first_known_day from marts.project_day"

_SEGMENTS = """
select
    last_complete_day - event_date as day,
    environment,
    architecture,
    os_family,
    os_release,
    events,
    failures,
    unknown_events as unknown,
    installations
from marts.segment_daily
cross join marts.project_day
where event_date between last_complete_day - cast($days as integer) + 1 and last_complete_day
"""

# A machine of a system that nobody knows is one machine whatever it calls itself, so that installations add up over
# architectures and not quite over releases.
_INSTALLATIONS = """
select
    last_complete_day - event_date as day,
    environment,
    architecture,
    installations
from marts.architecture_daily
cross join marts.project_day
where event_date between last_complete_day - cast($days as integer) + 1 and last_complete_day
"""

_EVER = """
select distinct environment
from marts.success_rate_daily
where events > 0
order by environment
"""

_FIRST_SEEN = """
select environment, os_family, os_release, first_seen, first_date
from marts.os_first_seen
order by environment, os_family, os_release
"""


@dataclass(frozen=True)
class Systems:
    """What a reader may choose, in order of name, and the days of the marts.

    `segments`: counts of 180 days by day, environment, architecture and release (indices). `ever`: environments that
    ever counted an event. `others`: how many releases have no place of their own.
    """

    last_day: date | None
    first_known_day: date | None
    environments: Sequence[str]
    architectures: Sequence[str]
    releases: Sequence[tuple[str, str]]
    others: int
    ever: Sequence[str]
    segments: pl.DataFrame

    def names(self) -> dict[str, Any]:
        """The lists that indices point into; the last release is that of all others where there are any."""
        shown = shortened([release for _, release in self.releases])
        releases = [{"family": family, "release": text} for (family, _), text in zip(self.releases, shown, strict=True)]
        if self.others:
            releases.append({"family": "other", "release": f"others ({self.others})"})
        return {
            "environment": list(self.environments),
            "architecture": list(self.architectures),
            "os": releases,
            "component": [],
            "commit": [],
            "error_type": [],
        }

    @property
    def lines(self) -> list[int]:
        """Places of the environments that ever counted an event."""
        return [self.environments.index(name) for name in self.ever]

    def indexed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with indices instead of the names of environment, architecture and release."""
        if "environment" in rows.columns:
            rows = indexed(rows, "environment", self.environments, NOT_LISTED)
        if "architecture" in rows.columns:
            rows = indexed(rows, "architecture", self.architectures, NOT_LISTED)
        if "os_family" not in rows.columns:
            return rows
        places = pl.DataFrame(
            [(*release, place) for place, release in enumerate(self.releases)],
            schema={"os_family": pl.String, "os_release": pl.String, "os": pl.Int64},
            orient="row",
        )
        rest = len(self.releases) if self.others else NOT_LISTED
        found = rows.join(places, on=_RELEASE, how="left", maintain_order="left").drop(_RELEASE)
        return found.with_columns(pl.col("os").fill_null(rest))


def read_systems(snapshot: Queryable, most_releases: int) -> Systems:
    """The systems of the last 180 complete days; at most `most_releases` releases have a place of their own."""
    days = snapshot.query(_DAYS).row(0)
    segments = snapshot.query(_SEGMENTS, {"days": 2 * LONGEST_WINDOW})
    ever = snapshot.query(_EVER)["environment"].to_list()
    ranked = _ranked_releases(segments)
    empty = Systems(
        days[0],
        days[1],
        sorted({*ever, *segments["environment"]}),
        sorted(set(segments["architecture"])),
        sorted(ranked[:most_releases]),
        max(0, len(ranked) - most_releases),
        ever,
        pl.DataFrame(),
    )
    return replace(empty, segments=empty.indexed(segments))


def _ranked_releases(segments: pl.DataFrame) -> list[tuple[str, str]]:
    """Releases with events in the longest window: the one with the best place in any environment and window first."""
    places = []
    for window in WINDOWS:
        counts = added(segments.filter(pl.col("day") < window), ["environment", *_RELEASE], ["events"])
        counts = counts.filter(pl.col("events") > 0)
        places.append(placed(counts, ["environment"], ["events"], _RELEASE).select(*_RELEASE, "place", "events"))
    best = pl.concat(places).group_by(_RELEASE).agg(pl.col("place").min(), pl.col("events").max())
    ordered = best.sort(["place", "events", *_RELEASE], descending=[False, True, False, False])
    return [(family, release) for family, release in ordered.select(_RELEASE).iter_rows()]


def installation_health(snapshot: Queryable, systems: Systems, limits: Limits) -> Made:
    """Days of the longest window, the sums of as many days before it, which only the tile looks at, and installations
    while no release is chosen."""
    keys, values = ["environment", "architecture", "os"], ["events", "failures", "unknown", "installations"]
    recent = added(systems.segments.filter(pl.col("day") < LONGEST_WINDOW), [*keys, "day"], values)
    installed = systems.indexed(snapshot.query(_INSTALLATIONS, {"days": LONGEST_WINDOW}))
    before = added(systems.segments.filter(pl.col("day") >= LONGEST_WINDOW), keys, ["events", "failures"])
    return Made({
        "daily": recent.filter(pl.sum_horizontal(values) > 0).sort(*keys, "day"),
        "before": before.filter(pl.col("events") > 0).sort(keys),
        "installations": added(installed, [*keys[:2], "day"], ["installations"]).sort(*keys[:2], "day"),
    })  # fmt: skip


def system_compatibility(snapshot: Queryable, systems: Systems, limits: Limits) -> Made:
    """Days of the longest window, and when an environment first saw a release."""
    counted = systems.segments.filter((pl.col("day") < LONGEST_WINDOW) & (pl.col("events") > 0))
    keys = ["environment", "architecture", "os", "day"]
    daily = added(counted, keys, ["events", "failures"]).sort(keys)
    seen = systems.indexed(snapshot.query(_FIRST_SEEN))
    named = seen.filter(pl.col("os").is_between(0, len(systems.releases) - 1))
    return Made({"daily": daily, "first_seen": _written(named.sort("environment", "os"))})


def _written(seen: pl.DataFrame) -> pl.DataFrame:
    """Instants and days as the documents of pages have them."""
    texts = {name: [as_document(value) for value in seen[name]] for name in ("first_seen", "first_date")}
    columns = [pl.Series(name, values, dtype=pl.String) for name, values in texts.items()]
    return seen.select("environment", "os").with_columns(columns)
