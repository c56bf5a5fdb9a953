"""Pieces of the simulation that are run on their own and kept as JSON: weeks without a change, planted changes.

Not here: the model, the evaluator (the product's own), what the pieces add up to.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.alerting import model
from benchmarks.alerting.expected import DETECTIONS, RULES, Detection
from benchmarks.alerting.starts import Stretch, first_caught, starts
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.evaluation import RULE_VERSION, evaluate_runs, ticks_between
from matokit_pipelines.alerts.event_log import LoadedLog
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.warehouse.event_columns import Events

ZONE = ZoneInfo("UTC")
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
WARM_UP = timedelta(days=28)
AT_NEXT_RUN = ("arch_gap", "component_failure_rate", "new_component_failure", "success_drop_7d")
# When a change is planted: on a working day between these hours, after the warm-up.
FROM_HOUR, TO_HOUR, WORKING_DAYS = 8.0, 14.0, 5


@dataclass(frozen=True)
class Piece:
    """`size` weeks (change None) or repetitions of a change at `volume` events a day; `number` tells pieces apart."""

    change: str | None
    volume: int
    number: int
    size: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.change or 'null'}-{self.volume}-{self.size}-{self.number}-{self.seed}"


def result_of(piece: Piece, folder: Path | None) -> dict[str, Any]:
    """The result of a piece, taken from `folder` when it is there and was found by the same rules."""
    kept = folder / f"{piece.name}.json" if folder else None
    if kept and kept.exists():
        known = dict(json.loads(kept.read_text(encoding="utf-8")))
        if known["rule_version"] == RULE_VERSION:
            return known
    found = _weeks(piece) if piece.change is None else _changes(piece)
    found |= asdict(piece) | {"rule_version": RULE_VERSION}
    if kept:
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(found), encoding="utf-8")
        part.replace(kept)
    return found


def log_of(events: model.Events) -> LoadedLog:
    """The events as the rules read them."""
    columns = Events.of(
        ts=events.ts,
        failed=events.failed,
        machine=events.machine,
        component=events.component,
        components=model.COMPONENTS,
        architecture=events.architecture,
        architectures=model.ARCHITECTURES,
        commit=events.commit,
        commits=[commit_name(number) for number in range(int(events.commit.max(initial=0)) + 1)],
    )
    return LoadedLog({"production": columns})


def commit_name(number: int) -> str:
    """Seven hexadecimal digits."""
    return f"{number:07x}"


def judged(log: LoadedLog, ticks: Sequence[datetime], rules: Collection[str]) -> dict[tuple[str, str], list[Stretch]]:
    """What the product's rules say at these ticks, by rule and subject."""
    found: dict[tuple[str, str], list[Stretch]] = defaultdict(list)
    for run in evaluate_runs(log, ticks, AlertSettings(), zone=ZONE, only=rules):
        verdict = run.first
        if verdict.state == "ok":
            stretch = Stretch(run.first_tick, run.last_tick, verdict.raw, verdict.guarded)
            found[verdict.rule, verdict.subject].append(stretch)
    return found


def _weeks(piece: Piece) -> dict[str, Any]:
    """Starts in `size` weeks in which nothing changes, a rule raw, and each one guarded."""
    begin = BEGIN + WARM_UP
    end = begin + timedelta(weeks=piece.size)
    events = model.simulated(piece.volume, BEGIN, end, [piece.seed, piece.volume, piece.number], None)
    log = log_of(events)
    raw: Counter[str] = Counter()
    guarded: list[tuple[str, str, str]] = []
    for (rule, subject), stretches in judged(log, ticks_between(begin, end), RULES).items():
        hold = timedelta(days=1) if rule in AT_NEXT_RUN else timedelta(hours=1)
        raw[rule] += len(starts(stretches, hold, guard=False))
        guarded += [(rule, subject, at.isoformat()) for at in starts(stretches, hold, guard=True)]
    return {"weeks": piece.size, "raw": dict(raw), "guarded": sorted(guarded, key=lambda start: start[2])}


def _changes(piece: Piece) -> dict[str, Any]:
    """Delays (hours) of the detections in `size` repetitions of a change; missing ones were not caught."""
    asked = [detection for detection in DETECTIONS if detection.change == piece.change]
    found: dict[str, dict[str, list[float]]] = {one.key: {"raw": [], "guarded": []} for one in asked}
    longest, tried = timedelta(hours=max(one.horizon for one in asked)), 0
    for repetition in range(piece.size):
        seed = [piece.seed, piece.volume, 1 + model.CHANGES.index(str(piece.change)), piece.number, repetition]
        start = _moment(np.random.default_rng([*seed, 0]))
        end = start + longest + timedelta(days=1)
        events = model.simulated(piece.volume, BEGIN, end, [*seed, 1], model.Planted(str(piece.change), start))
        begun = _shows_from(events, start)
        if begun is None or begun + longest > end:
            continue
        tried += 1
        log = log_of(events)
        for one in asked:
            until = begun + timedelta(hours=one.horizon)
            verdicts = judged(log, ticks_between(begun, until), [one.rule])
            mine = [s for (_, subject), each in verdicts.items() if _is_about(one, subject, events) for s in each]
            for kind in ("raw", "guarded"):
                at = first_caught(mine, begun, until, guard=kind == "guarded")
                if at is not None:
                    found[one.key][kind].append((at - begun) / timedelta(hours=1))
    return {"tried": tried, "found": found}


def _moment(rng: np.random.Generator) -> datetime:
    """When a change is planted: to the second, so that it begins off the grid."""
    hours = FROM_HOUR + (TO_HOUR - FROM_HOUR) * float(rng.random())
    return BEGIN + WARM_UP + timedelta(days=int(rng.integers(WORKING_DAYS)), seconds=round(hours * 3600))


def _shows_from(events: Events, start: datetime) -> datetime | None:
    """When the data first show it: a commit is there with its first event, the others with their beginning.

    None when no machine ran the commit before the next one came.
    """
    if events.bad_commit is None:
        return start
    ts = events.ts[events.commit == events.bad_commit]
    return datetime.fromtimestamp(int(ts[0]) / model.MICROSECONDS, UTC) if len(ts) else None


def _is_about(asked: Detection, subject: str, events: model.Events) -> bool:
    """Whether a verdict on this subject is one on the planted change."""
    wanted = {"component": model.COMPONENT, "architecture": "x86_64", "outage": ALL}
    if asked.change in model.COMMITS:
        return events.bad_commit is not None and subject == commit_name(events.bad_commit)
    return subject == wanted[asked.change]
