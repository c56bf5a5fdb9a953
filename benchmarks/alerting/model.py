"""The event model that the alert rules are held against: machines that install, as columns of counted events.

The behaviour of a machine (success, retries, pace, hours) is that of the simulator, whose numbers are the same; here
are the volume, systems and commits of the model, and the changes planted in it. Not here: rules, and how often what
is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.simulator import machines
from matokit_pipelines.simulator.machines import STEPS, Bools, Fleet, Floats, Ints

COMPONENTS = tuple(step.name for step in STEPS)
ARCHITECTURES = ("arm64", "x86_64")
SYSTEMS = ("macOS 15.1", "macOS 14.6", "Windows 11", "Ubuntu 22.04", "macOS 13.6")
SYSTEM_SHARES = (0.45, 0.25, 0.15, 0.10, 0.05)
X86_SHARE = 0.28
EVENTS_PER_MACHINE = 8.6
COMMIT_EVERY_DAYS, OLD_COPY, OLD_COPY_HOURS = 3.0, 0.15, 12.0
OVERALL = 0.966
COMPONENT, COMPONENT_FROM, COMPONENT_TO = "packages", 0.97, 0.70
COMMIT_POINTS, ARCHITECTURE_POINTS, OUTAGE_SHARE, OUTAGE_HOURS = 0.12, 0.20, 0.35, 4.0
CHANGES = ("component", "commit", "commit_among_others", "outage", "architecture")
COMMITS = ("commit", "commit_among_others")
COMMIT_ALONE_HOURS = 24.0  # before and after the bad commit, nothing else is published
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Events:
    """Counted events in order of time, one entry an event.

    ts: microseconds since 1970 (UTC). component, architecture, system: rows of the lists above. commit: number, in
    order of publication; bad_commit: the one that was planted. machine: number.
    """

    ts: Ints
    failed: Bools
    component: Ints
    architecture: Ints
    system: Ints
    commit: Ints
    machine: Ints
    bad_commit: int | None = None

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True)
class Planted:
    """A change that begins at `start`: one of CHANGES. The bad commit is the one published then.

    commit: no other is published in the day before and after it; commit_among_others: as often as usual, so some
    replace it within the hour.
    """

    kind: str
    start: datetime


def simulated(per_day: float, start: datetime, end: datetime, seed: int | list[int], planted: Planted | None) -> Events:
    """Events of machines that begin in [start, end), about `per_day` a day; deterministic for a seed."""
    rng = np.random.default_rng(seed)
    count = per_day * (end - start) / timedelta(days=1) / EVENTS_PER_MACHINE
    begun = machines.start_times(count, start, end, "UTC", rng, [])
    fleet = _fleet(begun, rng)
    published = _publications(start, end, planted, rng)
    lag = np.where(rng.random(len(begun)) < OLD_COPY, rng.exponential(OLD_COPY_HOURS * 3600, len(begun)), 0.0)
    commit = np.maximum(np.searchsorted(published, begun - lag, side="right") - 1, 0)
    architecture = (rng.random(len(begun)) < X86_SHARE).astype(np.int64)
    system = rng.choice(len(SYSTEMS), size=len(begun), p=SYSTEM_SHARES)
    touched, bad = np.ones(len(begun), dtype=bool), None
    if planted is not None and planted.kind in COMMITS:
        bad = int(np.searchsorted(published, planted.start.timestamp()))
        touched = commit == bad
    elif planted is not None and planted.kind == "architecture":
        touched = architecture == ARCHITECTURES.index("x86_64")
    elif planted is not None and planted.kind == "component":
        touched = fleet.luck < 1 - COMPONENT_TO / COMPONENT_FROM
        index = COMPONENTS.index(COMPONENT)
        fleet.leaning[:, index] += machines.base_logit(COMPONENT_FROM) - machines.BASES[index]
    tried = machines.run(fleet, _effect(planted, touched), rng)
    tried = tried.where(tried.step < len(STEPS))  # run markers are not events of the model
    order = np.argsort(tried.when, kind="stable")
    who = tried.machine[order]
    return Events(
        ts=(tried.when[order] * MICROSECONDS).astype(np.int64),
        failed=~tried.success[order],
        component=tried.step[order],
        architecture=architecture[who],
        system=system[who],
        commit=commit[who],
        machine=who,
        bad_commit=bad,
    )


def _fleet(begun: Floats, rng: np.random.Generator) -> Fleet:
    count, steps = len(begun), len(STEPS)
    leaning = (machines.MACHINE_SPREAD * rng.standard_normal((count, 1))).astype(np.float32)
    nothing = np.zeros(count, dtype=np.int64)
    return Fleet(
        start=begun,
        environment=nothing,
        text=nothing,
        spelling=nothing,
        lag=np.zeros(count),
        runs=rng.random((count, steps)) < np.array([step.share for step in STEPS]),
        leaning=leaning + (machines.STEP_SPREAD * rng.standard_normal((count, steps))).astype(np.float32),
        luck=rng.random(count),
    )


def _publications(start: datetime, end: datetime, planted: Planted | None, rng: np.random.Generator) -> Floats:
    """Epoch seconds at which commits are published; the first leads before everything."""
    days = (end - start) / timedelta(days=1)
    gaps = rng.exponential(COMMIT_EVERY_DAYS * 86_400, size=int(days) + 30)
    since = start.timestamp() - 86_400 + np.concatenate([[0.0], np.cumsum(gaps)])
    since = since[since < end.timestamp()]
    if planted is not None and planted.kind in COMMITS:
        moment = planted.start.timestamp()
        if planted.kind == "commit":
            since = since[(np.abs(since - moment) > COMMIT_ALONE_HOURS * 3600) | (since <= start.timestamp())]
        since = np.sort(np.append(since, moment))
    return since


def _effect(planted: Planted | None, touched: NDArray[np.bool_]) -> machines.Effect:
    """What the planted change leaves of the chances of success of the machines it touches."""
    if planted is None:
        return lambda chance, step, who, when: chance
    since, until, only = planted.start.timestamp(), np.inf, None
    if planted.kind == "component":
        factor, only = 0.0, COMPONENTS.index(COMPONENT)
    elif planted.kind == "outage":
        factor, until = 1 - OUTAGE_SHARE, since + OUTAGE_HOURS * 3600
    else:
        points = COMMIT_POINTS if planted.kind in COMMITS else ARCHITECTURE_POINTS
        factor = 1 - points / OVERALL

    def worse(chance: Floats, step: int, who: Ints, when: Floats) -> Floats:
        if only is not None and step != only:
            return chance
        hit = touched[who] & (when >= since) & (when < until)
        return np.where(hit, chance * factor, chance)

    return worse


def design_effect(events: Events) -> float:
    """The variance of the pooled share of failures over that of independent events, machines being the clusters."""
    counts = np.bincount(events.machine)
    failures = np.bincount(events.machine, weights=events.failed)
    share = failures.sum() / counts.sum()
    return float(np.sum((failures - share * counts) ** 2) / (share * (1 - share) * counts.sum()))


def in_words(seed: int) -> str:
    """What the model is like, measured over half a million events without a change."""
    start = datetime(2026, 1, 5, tzinfo=UTC)
    events = simulated(25_000, start, start + timedelta(days=21), [seed, 0], None)
    a_machine, success = len(events) / len(np.unique(events.machine)), 100 * (1 - events.failed.mean())
    return (
        f"The model: {a_machine:.2f} events a machine, {success:.1f} % succeed, design effect by machine "
        f"{design_effect(events):.2f}"
    )
