"""The life cycle of one alert: inactive, pending, firing, recovering, and over. Pure: verdicts in, state out.

Two clocks. The state follows the time of the evaluations (`at`), so it is the same whether they run at once or late:
`for`, `keep_firing` and the 24 hours without data are counted in it, and stand still when no evaluation runs. What is
told follows the clock on the wall (`now`): reminders and ends of silences come although the data stand still. In
golden cases and the back-test the two are the same. Not here: who is told and how (announcing.py), where it is kept
(store.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from matokit_pipelines.alert_settings import RuleSettings
from matokit_pipelines.alerts.announcements import EndReason, Episode
from matokit_pipelines.alerts.verdicts import ALL, Verdict

GRID = timedelta(minutes=5)
NO_DATA_CLOSES = timedelta(hours=24)
ZERO = timedelta()
Phase = Literal["inactive", "pending", "firing", "recovering"]


@dataclass(frozen=True)
class Timing:
    """How long what must last. `keep`: None where a rule runs once a day: two runs in a row must find nothing."""

    hold: timedelta = ZERO
    keep: timedelta | None = timedelta(minutes=60)
    repeat: timedelta = ZERO

    @classmethod
    def of(cls, rule: RuleSettings, *, is_daily: bool) -> Timing:
        minutes = timedelta(minutes=1)
        keep = None if is_daily else rule.keep_firing * minutes
        return cls(rule.for_minutes * minutes, keep, rule.repeat * minutes)


@dataclass(frozen=True)
class Instance:
    """Where one rule and subject stand. Times are those of evaluations, UTC.

    episodes: how many there were so far. at: the newest evaluation; measured_at: the newest with data. held, clear:
    how long rule and guard held, how long the raw condition was not met; the one that `counting` names goes on from
    `at`. start: the verdict that the pending time began with. clear_from: when recovering began. verdict: the newest.
    """

    rule: str
    subject: str
    environment: str
    phase: Phase = "inactive"
    episodes: int = 0
    at: datetime | None = None
    measured_at: datetime | None = None
    counting: Literal["", "held", "clear"] = ""
    held: timedelta = ZERO
    clear: timedelta = ZERO
    start: Verdict | None = None
    clear_from: datetime | None = None
    episode: Episode | None = None
    verdict: Verdict | None = None

    @property
    def fingerprint(self) -> str:
        return f"{self.rule}|{self.subject}|{self.environment}"

    @property
    def is_measured(self) -> bool:
        """Whether the newest evaluation had data."""
        return self.at is not None and self.at == self.measured_at


class Step(NamedTuple):
    """What an evaluation did: the new state, and the episode that began or ended with it."""

    instance: Instance
    started: Episode | None = None
    ended: Episode | None = None


def step(
    instance: Instance,
    verdict: Verdict,
    timing: Timing,
    *,
    now: datetime,
    severity: str = "critical",
    at: datetime | None = None,
    is_late: bool = False,
) -> Step:
    """Take in one evaluation. One that is not newer than the newest known changes nothing.

    `at`: later than verdict.at where a verdict stands until the rule runs again; `now`: the run that found it.
    """
    at = at or verdict.at
    if instance.at is not None and at <= instance.at:
        return Step(instance)
    passed = at - instance.at if instance.at else ZERO
    here = replace(
        instance,
        at=at,
        held=instance.held + (passed if instance.counting == "held" else ZERO),
        clear=instance.clear + (passed if instance.counting == "clear" else ZERO),
        counting="",
        verdict=verdict,
    )
    if verdict.state != "ok":
        return _without_data(here, verdict, at)
    here = replace(here, measured_at=at)
    if here.phase in ("inactive", "pending"):
        return _not_firing(here, verdict, timing, at, now, severity, is_late)
    return _firing(here, verdict, timing, at)


def _without_data(here: Instance, verdict: Verdict, at: datetime) -> Step:
    """The state is kept; after a day without data it is over, and nobody can say that it is well."""
    if verdict.state != "no_data" or here.phase == "inactive" or here.measured_at is None:
        return Step(here)
    if at - here.measured_at < NO_DATA_CLOSES:
        return Step(here)
    return _over(here, at, "no_longer_measurable")


def _not_firing(
    here: Instance, verdict: Verdict, timing: Timing, at: datetime, now: datetime, severity: str, is_late: bool
) -> Step:
    if not verdict.guarded:
        return Step(replace(here, phase="inactive", held=ZERO, start=None))
    start = here.start if here.phase == "pending" and here.start else verdict
    if here.phase == "inactive":
        here = replace(here, phase="pending", held=ZERO, start=start)
    if here.held < timing.hold:
        return Step(replace(here, counting="held"))
    number = here.episodes + 1
    episode = Episode(
        here.rule, here.subject, here.environment, number, severity, start.at, now, start, verdict, verdict,
        is_late=is_late, began_at=began_at(start),
    )  # fmt: skip
    here = replace(here, phase="firing", episodes=number, held=ZERO, clear=ZERO, clear_from=None, episode=episode)
    return Step(here, started=episode)


def _firing(here: Instance, verdict: Verdict, timing: Timing, at: datetime) -> Step:
    """Once firing, the raw condition alone decides."""
    episode = here.episode
    assert episode is not None  # a firing instance has one
    if verdict.raw:
        episode = replace(episode, last=verdict, worst=worse_of(episode.worst, verdict))
        return Step(replace(here, phase="firing", clear=ZERO, clear_from=None, episode=episode))
    was_recovering = here.phase == "recovering"
    clear = here.clear if was_recovering else ZERO
    here = replace(
        here,
        phase="recovering",
        counting="clear",
        clear=clear,
        clear_from=here.clear_from if was_recovering else at,
        episode=replace(episode, last=verdict, worst=worse_of(episode.worst, verdict)),
    )
    if (timing.keep is None and was_recovering) or (timing.keep is not None and clear >= timing.keep):
        return _over(here, at, "recovered")
    return Step(here)


def _over(here: Instance, at: datetime, reason: EndReason) -> Step:
    ended = replace(here.episode, ended_at=at, end_reason=reason) if here.episode else None
    return Step(closed(here), ended=ended)


def closed(instance: Instance) -> Instance:
    """The instance with nothing open."""
    return replace(
        instance, phase="inactive", counting="", held=ZERO, clear=ZERO, start=None, clear_from=None, episode=None
    )


def deadline(instance: Instance, verdict: Verdict, timing: Timing) -> datetime | None:
    """When the state changes next if every evaluation from now on says the same; on the grid. None: never."""
    if instance.at is None:
        return None
    due: datetime | None = None
    if instance.phase == "pending" and instance.counting == "held":
        due = instance.at + timing.hold - instance.held
    elif instance.phase == "recovering" and instance.counting == "clear" and timing.keep is not None:
        due = instance.at + timing.keep - instance.clear
    elif instance.phase != "inactive" and verdict.state == "no_data" and instance.measured_at:
        due = instance.measured_at + NO_DATA_CLOSES
    return None if due is None else max(on_grid(due), on_grid(instance.at + timedelta(microseconds=1)))


def on_grid(instant: datetime) -> datetime:
    """The first point of the 5-minute grid at or after an instant."""
    steps = -((datetime(1970, 1, 1, tzinfo=UTC) - instant) // GRID)
    return datetime(1970, 1, 1, tzinfo=UTC) + steps * GRID


def grid_between(after: datetime, until: datetime) -> list[datetime]:
    """The points of the 5-minute grid in `(after, until]`."""
    first = on_grid(after + datetime.resolution)
    return [first + number * GRID for number in range(max(0, (until - first) // GRID + 1))]


def badness(verdict: Verdict) -> float:
    """How bad a verdict is among those of the same rule and subject: the share that failed, failures where n is
    missing, and evidence where the rule counts neither."""
    inputs = verdict.inputs
    failures, n = inputs.get("failures"), inputs.get("n")
    if verdict.rule == "high_volume_failures" or not isinstance(n, int | float) or not n:
        numbers = (failures, inputs.get("evidence"), inputs.get("hours"))
        return next((float(number) for number in numbers if isinstance(number, int | float)), 0.0)
    return float(failures) / n if isinstance(failures, int | float) else 0.0


def worse_of(worst: Verdict, verdict: Verdict) -> Verdict:
    """The worse of the worst so far and a later verdict. One where the condition does not hold is so only with as many
    failures: a single one that failed alone is no worse than an hour of failures."""
    if badness(verdict) <= badness(worst):
        return worst
    failures, most = verdict.inputs.get("failures"), worst.inputs.get("failures")
    is_more = isinstance(failures, int | float) and isinstance(most, int | float) and failures >= most
    return verdict if verdict.raw or is_more else worst


def began_at(verdict: Verdict) -> datetime | None:
    """When the change itself seems to have begun, where the rule tells it as an ISO time."""
    told = verdict.inputs.get("began_at")
    return datetime.fromisoformat(told).astimezone(UTC) if isinstance(told, str) and told else None


# -- what is told ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Telling:
    """What was told of an episode, by the clock on the wall. is_withheld: a silence kept its beginning back."""

    told_at: datetime | None = None
    last_told_at: datetime | None = None
    reminders: int = 0
    is_withheld: bool = False


Occasion = Literal["firing", "reminder", "resolved", "past"]


def occasion(
    instance: Instance, episode: Episode, telling: Telling, timing: Timing, *, now: datetime, is_silenced: bool
) -> Occasion | None:
    """What is to be told of an episode now, were it not for business days and quiet hours; None for nothing.

    `episode` is the instance's open one or one that has ended. Without data nothing is told but an end, and a beginning
    that one run found together with evaluations without data after it: nobody could be told before.
    """
    if episode.ended_at is not None:
        if telling.told_at is not None:
            return "resolved"
        return None if is_silenced or telling.is_withheld else "past"
    if is_silenced:
        return None
    if not instance.is_measured:
        return "firing" if telling.told_at is None and not telling.is_withheld else None
    if instance.phase != "firing":
        return None
    if telling.told_at is None:
        return "firing"
    since = telling.last_told_at or telling.told_at
    return "reminder" if timing.repeat and now - since >= timing.repeat else None


# -- golden cases ----------------------------------------------------------------------------------------------------

_RUN = re.compile(r"^([TRFN])(\d+)$")
_MINUTE_0 = datetime(2026, 1, 1, tzinfo=UTC)


def run_lifecycle(ticks: str, config: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The messages and the last state of one alert over run-length coded 5-minute evaluations from minute 0.

    `ticks`: such as "F2 T6 N3": T raw and guard hold, R raw only, F neither, N no data. `config`: for_min (0),
    keep_min (60), repeat_min (240), silences (lists [from, to) in minutes). ValueError for anything else.
    Gives [{"minute", "kind"}] with kinds firing, reminder, resolved, resolved_no_data.
    """
    minute = timedelta(minutes=1)
    if unknown := set(config) - {"for_min", "keep_min", "repeat_min", "silences"}:
        raise ValueError(f"unknown settings of a life cycle: {', '.join(sorted(unknown))}")
    timing = Timing(
        config.get("for_min", 0) * minute, config.get("keep_min", 60) * minute, config.get("repeat_min", 240) * minute
    )
    instance, telling = Instance("overall_success_rate", ALL, "production"), Telling()
    told: list[dict[str, Any]] = []
    for number, letter in enumerate(_letters(ticks)):
        now = _MINUTE_0 + number * GRID
        silenced = any(start <= number * 5 < end for start, end in config.get("silences", []))
        taken = step(instance, _verdict(letter, now), timing, now=now)
        instance = taken.instance
        if taken.started:
            telling = Telling()
        episode = taken.ended or instance.episode
        if episode is None:
            continue
        kind = occasion(instance, episode, telling, timing, now=now, is_silenced=silenced)
        telling = noted(telling, kind, now, is_silenced=silenced)
        if kind:
            is_lost = episode.end_reason == "no_longer_measurable"
            told.append({"minute": number * 5, "kind": "resolved_no_data" if is_lost else kind})
    return told, instance.phase


def noted(telling: Telling, kind: Occasion | None, now: datetime, *, is_silenced: bool = False) -> Telling:
    """What was told, with this occasion."""
    if kind is None:
        withheld = is_silenced and telling.told_at is None
        return replace(telling, is_withheld=True) if withheld else telling
    if kind == "reminder":
        return replace(telling, last_told_at=now, reminders=telling.reminders + 1)
    return replace(telling, told_at=telling.told_at or now, last_told_at=now)


def _letters(ticks: str) -> Sequence[str]:
    letters: list[str] = []
    for word in ticks.split():
        match = _RUN.match(word)
        if not match:
            raise ValueError(f'"{word}" is no run of evaluations such as "T12"')
        letters += match[1] * int(match[2])
    return letters


def _verdict(letter: str, at: datetime) -> Verdict:
    rule, environment = "overall_success_rate", "production"
    if letter == "N":
        return Verdict(rule, ALL, environment, at, "no_data")
    return Verdict(rule, ALL, environment, at, "ok", raw=letter in "TR", guarded=letter == "T")
