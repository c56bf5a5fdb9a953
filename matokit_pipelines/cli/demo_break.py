"""`demo --break COMPONENT`: after the end of the demo a component breaks, its alert arrives, and it is mended again.

The clock that all share leaps ahead, so hours take seconds; events go in through the trackers of the simulated services
as those of installers do, and come out as messages. Not here: the stage (demo_stage.py), what is told (alerts/).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from matokit_pipelines.cli.demo_stage import PIWIK_PRO_SHARE, ZONE
from matokit_pipelines.cli.frame import Frame

if TYPE_CHECKING:
    from matokit_pipelines.cli.demo_stage import Services, StageClock
    from matokit_pipelines.simulator.slack_store import Posted
    from matokit_pipelines.sources.tracking import Tracked, Tracker
    from matokit_pipelines.warehouse.refresh import Home

BROKEN, MENDED = timedelta(hours=1), timedelta(hours=4)
A_BATCH = timedelta(minutes=10)
MACHINES = 8  # in a batch
LOOK_EVERY = timedelta(minutes=10)
PIWIK_PRO_LAG = timedelta(minutes=150)
MOST_LOOKS = 24
COMMIT = "b0b0b0b"
_SYSTEMS = (("macOS 15.1.1", "arm64"), ("macOS 14.2.1", "arm64"), ("Windows 10.0.22631", "x86_64"))


def check_component(name: str) -> None:
    """SettingsError for a component that no simulated machine installs."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.simulator.machines import STEPS

    known = [step.name for step in STEPS]
    if name not in known:
        raise SettingsError(f'No simulated machine installs "{name}"; break one of {", ".join(known)}.')


def not_planted(component: str | None) -> tuple[str, ...]:
    """Kinds of incidents to leave out, those that make it fail: what was told of and goes on is not told of again."""
    from matokit_pipelines.simulator.incidents import COMPONENT

    if component is None:
        return ()
    of_every_step = ("commit", "rollback", "architecture", "outage")
    return (*of_every_step, "component") if component == COMPONENT else of_every_step


@dataclass
class _Play:
    """What goes on: machines that install, and who looks."""

    frame: Frame
    home: Home
    services: Services
    clock: StageClock
    dice: random.Random
    component: str

    def say(self, text: str, at: datetime | None = None) -> None:
        from zoneinfo import ZoneInfo

        shown = f"{at.astimezone(ZoneInfo(ZONE)):%H:%M}" if at else "     "
        self.frame.say(f"            {shown}  {text}")


def play(frame: Frame, home: Home, services: Services, clock: StageClock, component: str, seed: int) -> bool:
    """Break, tell, mend, tell. Whether both messages came: the alert and that it is over."""
    scene = _Play(frame, home, services, clock, random.Random(seed), component)
    frame.say()
    frame.say(f"Breaking    {component}, on a clock that leaps ahead (times of {ZONE})")
    before = len(services.slack.messages)
    since = clock.now()
    with frame.progress("Breaking"):
        failed = _install(scene, BROKEN, broken=True)
    scene.say(f"{component} fails on every machine: {failed} failures until {_time(clock.now())}", since)
    clock.leap(since + PIWIK_PRO_LAG - clock.now())
    with frame.progress("Waiting for the alert"):
        found = _looks(scene, before, "firing", bool)
    begun = {message.ts for message in found if _is_about(scene, message)}
    if not begun:
        scene.say("no message came; that is a defect of matokit, report it", clock.now())
        return False
    for message in found:
        _show(scene, message)
    since = clock.now()
    with frame.progress("Mending"):
        _install(scene, MENDED, broken=False)
    scene.say(f"{component} was mended; machines install again without a failure", since)
    before = len(services.slack.messages)
    clock.leap(PIWIK_PRO_LAG)
    with frame.progress("Waiting for the end"):
        over = _looks(scene, before, "resolved", lambda told: _threads(told) >= begun)
    roots = {message.ts for message in found}
    for message in over:
        _show(scene, message, "in the same thread" if message.thread_ts in roots else "")
    return _threads(over) >= begun


def _looks(scene: _Play, before: int, kind: str, is_all: Callable[[list[Posted]], bool]) -> list[Posted]:
    """Refresh every ten minutes until all that is waited for of that kind was told on Slack of what was broken, and
    once more, since Slack asks to wait now and then and a message may come after others; what was told of that kind."""
    told: list[Posted] = []
    for _ in range(MOST_LOOKS):
        is_last = is_all([message for message in told if _is_about(scene, message)])
        _refresh(scene)
        told = [message for message in scene.services.slack.messages[before:] if _kind(message) == kind]
        scene.clock.leap(LOOK_EVERY)
        if is_last:
            break
    return told


def _threads(told: list[Posted]) -> set[str]:
    return {message.thread_ts for message in told if message.thread_ts}


def _refresh(scene: _Play) -> None:
    """What the schedule does; the services misbehave on, and the next refresh goes on from there."""
    from matokit_pipelines.errors import SourceError
    from matokit_pipelines.orchestration import in_process

    outcome = in_process.refresh(scene.home)
    if outcome.trouble and not isinstance(outcome.trouble, SourceError):
        raise outcome.trouble


def _kind(message: Posted) -> str:
    """What a message is, by its key: fingerprint, episode, kind, destination."""
    parts = (message.message_key or "").split("|")
    return parts[-2].partition(":")[0] if len(parts) > 2 else ""


def _is_about(scene: _Play, message: Posted) -> bool:
    """Whether a message tells of the broken component, or of so many failures."""
    rule, subject = (message.message_key or "|").split("|")[:2]
    return subject == scene.component or rule in ("overall_success_rate", "high_volume_failures")


def _show(scene: _Play, message: Posted, note: str = "") -> None:
    """The first line of a message, where and when it came."""
    from datetime import UTC

    at = datetime.fromtimestamp(float(message.ts), UTC)
    channel = scene.services.slack.store.channels[message.channel].name
    first = next(iter(str(message.body.get("text", "")).splitlines()), "")
    scene.say(f"Slack #{channel}{note and ', ' + note}: {first}", at)


@contextmanager
def _trackers(scene: _Play) -> Iterator[tuple[Tracker, Tracker]]:
    """The trackers of the two services that count."""
    from matokit_pipelines.sources.tracking import tracker_for

    loaded = scene.home.loaded
    with ExitStack() as stack:
        made = [tracker_for(loaded, loaded.settings.source(name), scene.clock) for name in ("installers", "lab")]
        for tracker in made:
            stack.callback(tracker.close)
        yield made[0], made[1]


def _install(scene: _Play, lasting: timedelta, *, broken: bool) -> int:
    """Machines run every step for so long, a batch every ten minutes; how many failures they sent."""
    failed = 0
    for _ in range(lasting // A_BATCH):
        batches: tuple[list[Tracked], list[Tracked]] = ([], [])
        for _ in range(MACHINES):
            runs = _machine(scene, broken=broken)
            failed += sum(event.value == 0 for event in runs)
            batches[scene.dice.random() >= PIWIK_PRO_SHARE].extend(runs)
        with _trackers(scene) as trackers:  # new ones, since an hour of theirs has leapt away
            for tracker, events in zip(trackers, batches, strict=True):
                tracker.send(events)
        scene.clock.leap(A_BATCH)
    return failed


def _machine(scene: _Play, *, broken: bool) -> list[Tracked]:
    """What one machine sends now: each step once, the broken one without success."""
    from matokit_pipelines.simulator.machines import STEPS
    from matokit_pipelines.sources.tracking import Tracked

    system, architecture = scene.dice.choice(_SYSTEMS)
    visitor, now = f"{scene.dice.getrandbits(64):016x}", scene.clock.now()
    events = []
    for step in STEPS:
        fails = broken and step.name == scene.component
        name, value = (f"{step.name}_unknown_error", 0.0) if fails else (step.name, max(2.0, step.seconds))
        told = {"os": system, "architecture": architecture, "commit": COMMIT}
        events.append(Tracked(visitor, now, "Installer_PROD", name, value, dict(told)))  # type: ignore[arg-type]
    return events


def _time(instant: datetime) -> str:
    from zoneinfo import ZoneInfo

    return f"{instant.astimezone(ZoneInfo(ZONE)):%H:%M}"
