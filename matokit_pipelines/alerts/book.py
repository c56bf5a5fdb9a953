"""What is remembered between two evaluations: where each alert stands, and what of each episode is still to be told.

Plain data, kept by store.py, or in memory alone for the back-test. Not here: what follows of it (tracing.py,
announcing.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from matokit_pipelines.alerts.announcements import Announcement, Episode
from matokit_pipelines.alerts.lifecycle import Instance, Telling

Digest = Literal["warnings", "health"]
Key = tuple[str, int]  # fingerprint and number of an episode
AN_HOUR, A_DAY = timedelta(hours=1), timedelta(days=1)
TOLD_STALE = "data_stale:told"  # in `sent`, for a day


@dataclass(frozen=True)
class Matter:
    """An episode and what is still to be told of it.

    conversations: destination -> the conversation in which it was told. digest, due: what it waits for, if for
    anything. silenced_by: silences that held a message back, by number. is_done: nothing more will be told.
    is_confirmed: complete data bear out what was told, which is to be told. in_report: the daily report told of it, in
    place of a message.
    """

    episode: Episode
    telling: Telling = field(default_factory=Telling)
    conversations: Mapping[str, str] = field(default_factory=dict)
    digest: Digest | None = None
    due: datetime | None = None
    silenced_by: tuple[int, ...] = ()
    is_done: bool = False
    is_confirmed: bool = False
    in_report: bool = False

    @property
    def key(self) -> Key:
        return self.episode.fingerprint, self.episode.number


@dataclass(frozen=True)
class Thread:
    """A conversation that further subjects of a rule may join for a while."""

    rule: str
    environment: str
    destination: str
    conversation: str
    opened_at: datetime


@dataclass(frozen=True)
class Dispatch:
    """One message to one destination, not composed yet. due: when it may leave."""

    announcement: Announcement
    destination: str
    message_key: str
    conversation: str
    severity: str
    due: datetime


@dataclass
class Book:
    """Everything that is remembered.

    instances: by fingerprint, those that are not inactive or once fired. provisional: the same of alerts on incomplete
    data, while they wait to be confirmed. matters: those that are not done. ended:
    fingerprint -> (started_at, ended_at) of episodes of the last days. sent: when messages of a rule were made in the
    last hour, and TOLD_STALE in the last day. changed: matters and instances to be kept anew.
    """

    instances: dict[str, Instance] = field(default_factory=dict)
    provisional: dict[str, Instance] = field(default_factory=dict)
    matters: dict[Key, Matter] = field(default_factory=dict)
    ended: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    threads: list[Thread] = field(default_factory=list)
    sent: list[tuple[str, datetime]] = field(default_factory=list)
    changed_instances: set[str] = field(default_factory=set)
    changed_matters: dict[Key, Matter] = field(default_factory=dict)

    def put(self, instance: Instance) -> None:
        """Take over where an instance stands."""
        self.instances[instance.fingerprint] = instance
        self.changed_instances.add(instance.fingerprint)

    def where(self, matter: Matter) -> Instance | None:
        """Where the alert stands that a matter is of."""
        fingerprint = matter.episode.fingerprint
        if matter.episode.is_provisional and fingerprint in self.provisional:
            return self.provisional[fingerprint]
        return self.instances.get(fingerprint)

    def keep(self, matter: Matter) -> None:
        """Take over what is to be told of an episode; one that is done is kept no longer than to be written."""
        self.changed_matters[matter.key] = matter
        if matter.is_done:
            self.matters.pop(matter.key, None)
        else:
            self.matters[matter.key] = matter

    def over(self, episode: Episode) -> None:
        """Remember when an episode was, so that late events do not find it again."""
        if episode.ended_at is not None:
            self.ended.setdefault(episode.fingerprint, []).append((episode.started_at, episode.ended_at))

    def of_rule(self, rule: str, environment: str) -> Iterator[Matter]:
        """The matters of one rule."""
        for matter in self.matters.values():
            if matter.episode.rule == rule and matter.episode.environment == environment:
                yield matter

    def open_of(self, rules: Iterable[str], environment: str) -> list[Episode]:
        """The open episodes of rules, by start."""
        names = set(rules)
        found = [
            instance.episode
            for instance in self.instances.values()
            if instance.episode and instance.rule in names and instance.environment == environment
        ]
        return sorted(found, key=lambda episode: (episode.started_at, episode.rule, episode.subject))

    def forget(self, now: datetime, *, grouping: timedelta, ended_before: datetime) -> None:
        """Drop what no longer matters at `now`."""
        self.threads = [thread for thread in self.threads if now - thread.opened_at < grouping]
        self.sent = [(name, at) for name, at in self.sent if now - at < (A_DAY if name == TOLD_STALE else AN_HOUR)]
        for fingerprint in list(self.ended):
            kept = [span for span in self.ended[fingerprint] if span[1] > ended_before]
            if kept:
                self.ended[fingerprint] = kept
            else:
                del self.ended[fingerprint]
