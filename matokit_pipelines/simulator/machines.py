"""Simulated machines: when they start, what they are, which steps they try and how each try ends.

Belongs here: the behaviour model (success, retries, pace, hours, volume) as numpy arrays. Does not belong here:
what planted changes do (incidents), what is sent (sending, eras), and any network service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.simulator import platforms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """One installation step: its sent name, first-try success, share of machines that run it, median seconds."""

    name: str
    success: float
    share: float
    seconds: float


STEPS = (
    Step("homebrew_check", 0.995, 0.95, 2.0),
    Step("homebrew_install", 0.97, 0.60, 90.0),
    Step("python_install", 0.96, 0.90, 45.0),
    Step("conda_download", 0.97, 0.70, 60.0),
    Step("conda_install", 0.975, 0.60, 80.0),
    Step("vscode_install", 0.985, 0.80, 40.0),
    Step("vscode_ext", 0.97, 0.75, 20.0),
    Step("packages", 0.93, 0.90, 70.0),
    Step("first_year_setup", 0.96, 0.50, 30.0),
    Step("latex_install", 0.88, 0.10, 200.0),
    Step("jupyter_setup", 0.97, 0.30, 25.0),
    Step("cleanup", 0.99, 0.60, 4.0),
)
# Steps whose whole-second duration may honestly be 0 or 1; every other step takes at least two seconds.
QUICK_STEPS = (0, 11)
START, SUCCESS_END, PARTIAL_END = len(STEPS), len(STEPS) + 1, len(STEPS) + 2
MARKERS = {
    START: "orchestrator_start",
    SUCCESS_END: "orchestrator_success",
    PARTIAL_END: "orchestrator_partial_failure",
}

# fmt: off
HOURS = np.array([0.15, 0.10, 0.08, 0.08, 0.10, 0.20, 0.40, 0.90, 1.6, 2.2, 2.3, 2.1,
                  1.9, 2.1, 2.1, 1.8, 1.4, 1.1, 0.9, 0.8, 0.7, 0.6, 0.4, 0.25])
# fmt: on
WEEKDAYS = np.array([1.30, 1.30, 1.25, 1.25, 1.15, 0.35, 0.40])
MACHINE_SPREAD, STEP_SPREAD = 0.8, 1.2
RETRY, MOST_TRIES, STOP_AFTER_FAILURE = 0.60, 5, 0.40
ENVIRONMENTS = ("production", "ci", "test")
ENVIRONMENT_SHARES = (0.82, 0.15, 0.03)
# Mean events of one machine, run markers included; measured over 300,000 machines without incidents.
EVENTS_PER_MACHINE = 10.80


@dataclass(frozen=True)
class Fleet:
    """Machines in order of their first event. Every array has one entry a machine.

    start: epoch seconds (UTC). runs: which of the 12 steps it has. leaning: u + v per step (logits), kept over
    retries. luck: uniform, decides who is in a fixed share. text, spelling: rows of the tables in `platforms`.
    lag: hours its copy of the script is behind.
    """

    start: Floats
    environment: Ints
    text: Ints
    spelling: Ints
    lag: Floats
    runs: Bools
    leaning: NDArray[np.float32]
    luck: Floats

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True)
class Attempts:
    """What the machines did: one entry a step tried or run marker, unordered.

    step: index into STEPS, or START, SUCCESS_END, PARTIAL_END. when: epoch seconds. seconds: whole seconds taken.
    """

    machine: Ints
    step: Ints
    when: Floats
    success: Bools
    seconds: Ints

    def where(self, kept: Bools) -> Attempts:
        """The attempts with a True in `kept`."""
        return Attempts(self.machine[kept], self.step[kept], self.when[kept], self.success[kept], self.seconds[kept])


Effect = Callable[[Floats, int, Ints, Floats], Floats]
"""(success probabilities, step, machines, epoch seconds) -> the probabilities a planted change leaves."""


def base_logit(success: float) -> float:
    """The logit whose mean success over u + v is `success`, by Gauss-Hermite quadrature and bisection."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    spread = np.hypot(MACHINE_SPREAD, STEP_SPREAD) * nodes
    weights = weights / weights.sum()
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        if float(np.sum(weights / (1 + np.exp(-(middle + spread))))) < success:
            low = middle
        else:
            high = middle
    return (low + high) / 2


BASES = tuple(base_logit(step.success) for step in STEPS)


def start_times(
    count: float,
    start: datetime,
    end: datetime,
    zone: str,
    rng: np.random.Generator,
    busy: list[tuple[float, float, float]],
) -> Floats:
    """Poisson many start times (epoch seconds, sorted) in [start, end), `count` of them expected without bursts.

    Hours and weekdays are those of `zone`, so that clock changes fall where people feel them. `busy` holds
    (from, until, factor) stretches of higher volume in epoch seconds.
    """
    edges, local = [], []
    moment, place = start, ZoneInfo(zone)
    while moment < end:
        following = min(moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1), end)
        edges.append((moment.timestamp(), following.timestamp()))
        here = moment.astimezone(place)
        local.append(HOURS[here.hour] / HOURS.mean() * WEEKDAYS[here.weekday()] / WEEKDAYS.mean())
        moment = following
    slots = np.array(edges)
    weight = np.array(local) * (slots[:, 1] - slots[:, 0])
    weight *= count / weight.sum()
    for since, until, factor in busy:
        weight[(slots[:, 0] >= since) & (slots[:, 0] < until)] *= factor
    number = int(rng.poisson(weight.sum()))
    slot = rng.choice(len(slots), size=number, p=weight / weight.sum())
    return np.sort(slots[slot, 0] + rng.random(number) * (slots[slot, 1] - slots[slot, 0]))


def fleet(starts: Floats, rng: np.random.Generator) -> Fleet:
    """Machines for these start times, with what each is drawn from the shares of the model."""
    count = len(starts)
    text, spelling = platforms.draw(count, rng)
    leaning = (MACHINE_SPREAD * rng.standard_normal((count, 1))).astype(np.float32)
    leaning = leaning + (STEP_SPREAD * rng.standard_normal((count, len(STEPS)))).astype(np.float32)
    behind = rng.random(count) < 0.15
    return Fleet(
        start=starts,
        environment=rng.choice(len(ENVIRONMENTS), size=count, p=ENVIRONMENT_SHARES).astype(np.int64),
        text=text,
        spelling=spelling,
        lag=np.where(behind, rng.exponential(12.0, count), 0.0),
        runs=rng.random((count, len(STEPS))) < np.array([step.share for step in STEPS]),
        leaning=leaning,
        luck=rng.random(count),
    )


class _Diary:
    """Collects attempts as arrays, to be joined once."""

    def __init__(self) -> None:
        self.parts: list[tuple[Ints, Ints, Floats, Bools, Ints]] = []

    def write(
        self, who: Ints, step: int, when: Floats, success: Bools | None = None, seconds: Ints | None = None
    ) -> None:
        self.parts.append(
            (
                who,
                np.full(len(who), step, dtype=np.int64),
                when.copy(),
                np.ones(len(who), dtype=bool) if success is None else success,
                np.zeros(len(who), dtype=np.int64) if seconds is None else seconds,
            )
        )

    def attempts(self) -> Attempts:
        machine, step, when, success, seconds = (np.concatenate(column) for column in zip(*self.parts, strict=True))
        return Attempts(machine, step, when, success, seconds)


def run(machines: Fleet, effect: Effect, rng: np.random.Generator) -> Attempts:
    """Let every machine install: up to five tries, each running its steps in order, vectorised over machines."""
    clock = machines.start.copy()
    active = np.arange(len(machines), dtype=np.int64)
    diary = _Diary()
    for _ in range(MOST_TRIES):
        diary.write(active, START, clock[active])
        failed = np.zeros(len(machines), dtype=bool)
        running = _try_once(machines, active, clock, failed, effect, rng, diary)
        clock[running] += 2.0
        for step, who in ((SUCCESS_END, running[~failed[running]]), (PARTIAL_END, running[failed[running]])):
            diary.write(who, step, clock[who])
        active = active[failed[active]]
        active = active[rng.random(len(active)) < RETRY]
        clock[active] += 60.0 * (1.0 + rng.exponential(8.0, len(active)))
    return diary.attempts()


def _try_once(
    machines: Fleet, active: Ints, clock: Floats, failed: Bools, effect: Effect, rng: np.random.Generator, diary: _Diary
) -> Ints:
    """One try of the active machines; moves clock and failed, returns the machines that reached the end."""
    going = np.zeros(len(machines), dtype=bool)
    going[active] = True
    for index, step in enumerate(STEPS):
        who = active[going[active] & machines.runs[active, index]]
        pause = 60.0 * (0.1 + rng.exponential(1.2, len(who)))
        clock[who] += pause
        chance = 1 / (1 + np.exp(-(BASES[index] + machines.leaning[who, index].astype(float))))
        success = rng.random(len(who)) < effect(chance, index, who, clock[who])
        # A step cannot have taken longer than the time since the event before it.
        taken = np.minimum(step.seconds * np.exp(0.6 * rng.standard_normal(len(who))), pause)
        seconds = np.floor(taken).astype(np.int64)
        if index not in QUICK_STEPS:
            seconds = np.maximum(seconds, 2)
        diary.write(who, index, clock[who], success, seconds)
        bad = who[~success]
        failed[bad] = True
        going[bad[rng.random(len(bad)) < STOP_AFTER_FAILURE]] = False
    return active[going[active]]
