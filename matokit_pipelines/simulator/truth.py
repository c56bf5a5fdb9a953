"""The whole truth of a simulation: every event sent, what it means, and what was planted.

Belongs here: `generate`, which puts machines, incidents and eras together. Does not belong here: any of the parts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from matokit_pipelines.simulator import commits, machines, sending
from matokit_pipelines.simulator import eras as other_eras
from matokit_pipelines.simulator import incidents as planting
from matokit_pipelines.simulator.hashing import spread
from matokit_pipelines.simulator.incidents import Incident


@dataclass(frozen=True)
class Truth:
    """What was sent and what it means.

    events: one row per sent event or page view (category null), sorted by event_ts; columns as in
        `sending.SCHEMA`. Sent: event_ts (UTC, whole seconds) to url; null = not sent, "" = sent empty. Known:
        environment to in_scope, by the rules of the installer contract. duration_s of a bare 0 or 1 is set where
        the component, environment and commit show the enhanced form. Outside the scope the known columns say
        "unknown" or null.
    incidents: in order of start. commits: commit_sha, led_since (UTC), enhanced, one row a change of leader.
    start, end: the half-open window of the events, UTC. zone: the site's and project's time zone.
    """

    events: pl.DataFrame
    incidents: list[Incident]
    commits: pl.DataFrame
    start: datetime
    end: datetime
    zone: str
    seed: int

    def split(self, share: float) -> tuple[Truth, Truth]:
        """Two truths of disjoint machines that make up this one; the first has about `share` of the machines.

        A machine's place follows from its number alone, so the same machine stays on the same side whatever else
        is simulated; rows without a machine go by their visitor. Window, commits and incidents are kept on both.
        Raises ValueError when `share` is not between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise ValueError("A share lies between 0 and 1.")
        machine = self.events["machine"]
        if machine.null_count():
            by_visitor = [-1 - crc32((visitor or "").encode()) for visitor in self.events["visitor_id"].to_list()]
            machine = machine.fill_null(pl.Series(by_visitor, dtype=pl.Int64))
        first = pl.Series(spread(machine.to_numpy().astype(np.uint64), 0x51EE7) < share)
        return replace(self, events=self.events.filter(first)), replace(self, events=self.events.filter(~first))


def generate(
    *,
    days: int,
    events_per_day: float,
    seed: int,
    end: datetime,
    zone: str = "Europe/Copenhagen",
    incidents: bool = True,
    without: Collection[str] = (),
    eras: bool = True,
) -> Truth:
    """Simulate `days` (at least 3) days before `end` (aware), about `events_per_day` events a day.

    `without`: kinds of incidents that are not planted.
    Fully determined by the arguments. Raises ValueError on a naive `end`, too few days or no volume.
    """
    if end.tzinfo is None:
        raise ValueError("The end of a simulation needs a time zone.")
    if days < 3 or events_per_day <= 0:
        raise ValueError("A simulation needs at least 3 days and a positive number of events a day.")
    end = end.astimezone(UTC).replace(microsecond=0)
    start = end - timedelta(days=days)
    planted = [one for one in planting.plan(start, end, zone) if incidents and one.kind not in without]
    rng = np.random.default_rng([seed, days])
    line, wrong = commits.timeline(start.timestamp(), end.timestamp(), planting.bad_commit(planted), rng)
    stream, fleet_size = _main(start, end, days * events_per_day, zone, seed, planted, (line, wrong), rng)
    parts = [stream]
    if eras:
        odd = other_eras.rows(start, days, zone, seed, fleet_size, events_per_day)
        for incident in planted:
            if incident.kind == "silence":
                odd = odd.filter(~pl.col("event_ts").is_between(incident.start, incident.end, closed="left"))
        parts.append(odd.filter(pl.col("event_ts") < end))
    events = pl.concat(parts).sort("event_ts", "machine", maintain_order=True)
    return Truth(events, _expect(planted, events, line, wrong, zone), _leaders(line), start, end, zone, seed)


def _main(
    start: datetime,
    end: datetime,
    wanted: float,
    zone: str,
    seed: int,
    planted: Sequence[Incident],
    known: tuple[commits.Timeline, int | None],
    rng: np.random.Generator,
) -> tuple[pl.DataFrame, int]:
    line, wrong = known
    busy = [(*stretch, planting.BURST_FACTOR) for stretch in planting.stretches(planted, "burst")]
    starts = machines.start_times(wanted / machines.EVENTS_PER_MACHINE, start, end, zone, rng, busy)
    fleet = machines.fleet(starts, rng)
    planting.bring_new_os(fleet, planted, rng)
    commit = line.at(fleet.start - 3600.0 * fleet.lag)
    attempts = _sent(machines.run(fleet, planting.effect(fleet, commit, wrong, planted), rng), start, end, planted)
    return sending.main_stream(attempts, fleet, commit, line, seed, rng), len(fleet)


def _sent(
    attempts: machines.Attempts, start: datetime, end: datetime, planted: Sequence[Incident]
) -> machines.Attempts:
    """The attempts that were sent at all: inside the window and outside a silence."""
    second = np.floor(attempts.when)
    kept = (second >= start.timestamp()) & (second < end.timestamp())
    for since, until in planting.stretches(planted, "silence"):
        kept &= ~((second >= since) & (second < until))
    return attempts.where(kept)


def _leaders(line: commits.Timeline) -> pl.DataFrame:
    since = pl.Series((line.since * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {
            "commit_sha": [line.sha[i] for i in line.commit.tolist()],
            "led_since": since,
            "enhanced": line.enhanced[line.commit],
        }
    )


def _expect(
    planted: Sequence[Incident], events: pl.DataFrame, line: commits.Timeline, wrong: int | None, zone: str
) -> list[Incident]:
    production = events.filter((pl.col("environment") == "production") & pl.col("in_scope"))
    found = []
    for incident in planted:
        subject, more = _of_kind(incident, line, wrong)
        during = production.filter((pl.col("event_ts") >= incident.start) & (pl.col("event_ts") < incident.end))
        column = more["column"]
        touched = during if column is None else during.filter(pl.col(column) == subject)
        more |= {"days": _days(incident, zone), "environment": "production", "events": touched.height}
        found.append(replace(incident, subject=subject, expectation=more))
    return found


def _of_kind(incident: Incident, line: commits.Timeline, wrong: int | None) -> tuple[str, dict[str, Any]]:
    """The subject and what a scoreboard has to look for, by kind."""
    i = planting
    if wrong is not None and incident.kind in ("commit", "rollback"):
        place = line.commit.tolist().index(wrong)
        bad, before = line.sha[wrong], line.sha[int(line.commit[place - 1])]
        if incident.kind == "rollback":
            change = {
                "table": "commit_leader_changes",
                "column": "commit_sha",
                "direction": "change",
                "from": bad,
                "to": before,
            }
            return before, change
        return bad, {
            "table": "commit_regression",
            "column": "commit_sha",
            "direction": "down",
            "points": -i.COMMIT_POINTS,
            "predecessor": before,
        }
    by_kind: dict[str, dict[str, Any]] = {
        "component": {
            "table": "component_daily",
            "column": "component",
            "direction": "down",
            "before": i.COMPONENT_FROM,
            "after": i.COMPONENT_TO,
        },
        "architecture": {
            "table": "architecture_daily",
            "column": "architecture",
            "direction": "down",
            "points": -i.ARCHITECTURE_POINTS,
        },
        "outage": {"table": "component_daily", "column": None, "direction": "down", "factor": 1 - i.OUTAGE_SHARE},
        "burst": {"table": "success_rate_daily", "column": None, "direction": "up", "factor": i.BURST_FACTOR},
        "silence": {"table": "environment_daily", "column": None, "direction": "none", "factor": 0.0},
        "new_os": {"table": "os_first_seen", "column": "os_release", "direction": "new"},
    }
    return incident.subject, by_kind[incident.kind]


def _days(incident: Incident, zone: str) -> list[str]:
    place = ZoneInfo(zone)
    first = incident.start.astimezone(place).date()
    last = (incident.end - timedelta(seconds=1)).astimezone(place).date()
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
