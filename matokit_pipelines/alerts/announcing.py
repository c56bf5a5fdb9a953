"""From episodes to messages: which are due now, which share one, in which conversation, to whom.

Business days, quiet hours and the daily run hold back what is told, never the evaluation. What happens to many subjects
of a rule at once is one message, so that a flood of invented component names cannot become a flood of messages.
Everything here goes by the clock on the wall (`now`). Not here: words (content/), the store, sending.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from matokit_pipelines.alert_settings import AlertSettings, RuleSettings
from matokit_pipelines.alerts.announcements import Announcement, Episode, Kind
from matokit_pipelines.alerts.book import A_DAY, AN_HOUR, TOLD_STALE, Book, Digest, Dispatch, Matter, Thread
from matokit_pipelines.alerts.business_days import Calendar
from matokit_pipelines.alerts.conversations import (
    OVERALL,
    STALE,
    crowded,
    ending_of,
    is_inhibited,
    name_of,
    thread_of_overall,
    told_today,
)
from matokit_pipelines.alerts.lifecycle import Instance, Occasion, Timing, badness, noted, occasion, on_grid
from matokit_pipelines.alerts.reported import PATIENCE, InReport
from matokit_pipelines.alerts.silences import Silence, silencing
from matokit_pipelines.delivery_settings import RecipientSettings

DAILY = ("component_failure_rate", "new_component_failure", "success_drop_7d")
EXPLAINED_BEFORE = timedelta(hours=48)  # a daily rule looks back 24 hours and runs once a day
_RANKS = {"critical": 0, "warning": 1, "daily": 2}
Group = tuple[Matter, ...]


@dataclass
class _Due:
    """What is due at one moment, sorted by how it is told."""

    firing: list[Matter] = field(default_factory=list)
    past: list[Matter] = field(default_factory=list)
    reminders: list[Matter] = field(default_factory=list)
    resolved: list[Matter] = field(default_factory=list)


@dataclass(frozen=True)
class Announcer:
    """Decides what is told. One of it serves a home, the demo and the back-test alike. in_report: what the daily report
    tells in place of a message, where there is one."""

    settings: AlertSettings
    recipients: RecipientSettings
    calendar: Calendar
    in_report: InReport | None = None

    def timing(self, rule: str) -> Timing:
        """The times of a rule."""
        return Timing.of(self.rule(rule), is_daily=rule in DAILY)

    def rule(self, name: str) -> RuleSettings:
        """The settings of a rule."""
        found: RuleSettings = getattr(self.settings.rules, name)
        return found

    def tell(self, book: Book, *, now: datetime, complete_to: datetime, silences: Sequence[Silence]) -> list[Dispatch]:
        """What is to be told now; the book remembers that it was. The order is the same for the same book."""
        round_ = _Round(self, book, now, complete_to, silences)
        found = round_.run()
        book.forget(
            now,
            grouping=timedelta(minutes=self.settings.grouping),
            ended_before=complete_to - 2 * timedelta(hours=self.settings.catch_up),
        )
        return found

    def next_timer(
        self, book: Book, *, now: datetime, complete_to: datetime, silences: Sequence[Silence]
    ) -> datetime | None:
        """When something is to be told next, if no evaluation comes before; None for nothing."""
        found: list[datetime] = []
        for matter in book.matters.values():
            found += self._timers(book, matter, now, complete_to, silences)
        return min(found, default=None)

    def _timers(
        self, book: Book, matter: Matter, now: datetime, complete_to: datetime, silences: Sequence[Silence]
    ) -> list[datetime]:
        if matter.digest and matter.due:
            return [matter.due]
        if matter.in_report:
            return []
        episode, telling = matter.episode, matter.telling
        if (telling.told_at is None or episode.ended_at) and (recent := crowded(book, episode.rule, now)):
            return [min(recent) + AN_HOUR]
        if telling.told_at is None and episode.rule == STALE and (today := told_today(book, now)):
            return [max(today) + A_DAY]
        instance = book.where(matter)
        if instance is None or instance.phase != "firing" or not instance.is_measured:
            return []
        # the evaluation at or after the end is the first that lies outside
        ends = [
            silence.until if now < silence.until else on_grid(silence.until)
            for silence in silences
            if silence.fits(episode.rule, episode.subject) and silence.begins_at <= now < on_grid(silence.until)
        ]
        if not ends and silencing(silences, episode, now=now, complete_to=complete_to):
            return []  # held until data are complete beyond the silence, which an evaluation will find
        repeat = self.timing(episode.rule).repeat
        if ends or telling.last_told_at is None or not repeat or is_inhibited(book, matter):
            return ends
        return [max(telling.last_told_at + repeat, now)]


class _Round:
    """One look at what is due."""

    def __init__(
        self, told: Announcer, book: Book, now: datetime, complete_to: datetime, silences: Sequence[Silence]
    ) -> None:
        self._told = told
        self._book = book
        self._now = now
        self._complete_to = complete_to
        self._silences = silences
        self._quiet_until = told.calendar.quiet_until(now)
        self._found: list[Dispatch] = []

    def run(self) -> list[Dispatch]:
        due = _Due()
        for key in sorted(self._book.matters):
            self._confirm(self._book.matters[key])
        for key in sorted(self._book.matters):
            self._sort(self._book.matters[key], due)
        self._digests()
        rules = [OVERALL, *(name for name, _ in self._told.settings.rules.named() if name != OVERALL)]
        environments = sorted({matter.episode.environment for matter in self._book.matters.values()})
        for rule in rules:  # the overall alert first: others are told in its thread
            for environment in environments:
                self._of_rule(rule, environment, due)
        return self._found

    def _of_rule(self, rule: str, environment: str, due: _Due) -> None:
        def mine(matters: Iterable[Matter]) -> Group:
            found = (m for m in matters if m.episode.rule == rule and m.episode.environment == environment)
            return tuple(sorted(found, key=_worst_first))

        for matters, tell in ((due.firing, self._fire), (due.past, self._past)):
            group = mine(matters)
            if group and self._has_room(rule) and not (rule == STALE and told_today(self._book, self._now)):
                tell(group)
        self._remind(mine(due.reminders))
        self._resolve(mine(due.resolved), rule)

    # -- what is due --------------------------------------------------------------------------------------------------

    def _sort(self, matter: Matter, due: _Due) -> None:
        """Find out what is to be told of one episode, and put off what waits for its time."""
        instance = self._book.where(matter)
        if instance is None:
            return
        holding = silencing(self._silences, matter.episode, now=self._now, complete_to=self._complete_to)
        if matter.digest:
            return  # what it waits for decides
        kind = occasion(
            instance, matter.episode, matter.telling, self._told.timing(matter.episode.rule), now=self._now,
            is_silenced=bool(holding),
        )  # fmt: skip
        if kind == "past" and matter.episode.rule == STALE and told_today(self._book, self._now):
            kind = None  # it came and went, and they were told today
        if kind is None:
            self._hold_back(matter, instance, holding)
        elif matter.in_report:  # its end is told there too
            if kind == "resolved":
                self._book.keep(replace(matter, telling=noted(matter.telling, kind, self._now), is_done=True))
        elif kind in ("firing", "past") and (waits := self._waits(matter.episode)):
            self._book.keep(replace(matter, digest=waits[0], due=waits[1]))
        else:
            {"firing": due.firing, "past": due.past, "reminder": due.reminders, "resolved": due.resolved}[kind].append(
                matter
            )

    def _hold_back(self, matter: Matter, instance: Instance, holding: Sequence[Silence]) -> None:
        """Nothing is told: remember by which silence, and when that is all there will be."""
        changed = matter
        if holding and (matter.telling.told_at is None or instance.phase == "firing"):
            by = tuple(sorted({*matter.silenced_by, *(silence.id for silence in holding)}))
            changed = replace(matter, silenced_by=by, telling=noted(matter.telling, None, self._now, is_silenced=True))
        if matter.episode.ended_at is not None:
            changed = replace(changed, is_done=True)
        if changed != matter:
            self._book.keep(changed)

    def _waits(self, episode: Episode) -> tuple[Digest, datetime] | None:
        """The digest that an episode waits for; None when it is told at once."""
        rule = self._told.rule(episode.rule)
        if rule.when == "business_day":
            return "warnings", self._told.calendar.next_opening(self._now)
        if rule.when == "daily":
            due = self._now if episode.rule in DAILY else self._told.calendar.next_daily(self._now)
            if self._told.in_report and self._told.in_report.covers(episode):
                due = max(self._now, episode.detected_at + PATIENCE)
            return "health", self._told.calendar.quiet_until(due) or due
        if self._quiet_until and episode.severity != "critical":
            return "warnings", self._quiet_until
        return None

    # -- telling ------------------------------------------------------------------------------------------------------

    def _digests(self) -> None:
        """One message for each digest that is due, with everything that waits for it, also what is over by now."""
        for matter in list(self._book.matters.values()):
            if matter.digest == "health" and self._told.in_report and self._told.in_report.covers(matter.episode):
                self._ask_report(matter, self._told.in_report)
        waiting = [m for m in self._book.matters.values() if m.digest and m.due and m.due <= self._now]
        for digest in ("warnings", "health"):
            matters = []
            for matter in sorted((m for m in waiting if m.digest == digest), key=_worst_first):
                holding = silencing(self._silences, matter.episode, now=self._now, complete_to=self._complete_to)
                if holding:
                    self._put_back(matter, holding)
                else:
                    matters.append(matter)
            self._send(tuple(matters), "digest", digest=digest)

    def _ask_report(self, matter: Matter, report: InReport) -> None:
        """What the daily report told needs no message; what it did not tell waits for it no longer."""
        told = report.tells(matter.episode)
        if told:
            is_over = matter.episode.ended_at is not None
            telling = noted(matter.telling, "past" if is_over else "firing", self._now)
            self._book.keep(replace(matter, telling=telling, digest=None, due=None, in_report=True, is_done=is_over))
        elif told is False:
            self._book.keep(replace(matter, due=self._quiet_until or self._now))

    def _put_back(self, matter: Matter, holding: Sequence[Silence]) -> None:
        by = tuple(sorted({*matter.silenced_by, *(silence.id for silence in holding)}))
        telling = replace(matter.telling, is_withheld=True)
        is_over = matter.episode.ended_at is not None
        self._book.keep(replace(matter, digest=None, due=None, silenced_by=by, telling=telling, is_done=is_over))

    def _fire(self, group: Group) -> None:
        """One message for the subjects that start together; in another message's thread where that explains them, or
        where the rule has told of others shortly before."""
        self._room_taken(group[0].episode.rule)
        if group[0].episode.rule == STALE:
            self._room_taken(TOLD_STALE)
        destinations = self._told.recipients.of(self._told.rule(group[0].episode.rule).destinations)
        conversations = {}
        for destination in destinations:
            thread = thread_of_overall(self._book, group[0].episode, destination) or self._own_thread(
                group[0].episode, destination
            )
            conversation = thread or self._root(group[0], destination)
            conversations[destination] = conversation
            if thread is None:
                self._book.threads.append(
                    Thread(
                        group[0].episode.rule, group[0].episode.environment, destination, conversation, self._now
                    )
                )  # fmt: skip
            self._dispatch(group, "joined" if thread else "firing", destination, conversation)
        self._mark(group, "firing", conversations)

    def _confirm(self, matter: Matter) -> None:
        """Complete data bear out a provisional alert: a reply in its thread, unless it is over already."""
        if not matter.is_confirmed:
            return
        holding = silencing(self._silences, matter.episode, now=self._now, complete_to=self._complete_to)
        if matter.episode.ended_at is None and not holding:
            for destination, conversation in matter.conversations.items():
                self._dispatch((matter,), "confirmed", destination, conversation)
        self._book.keep(replace(matter, is_confirmed=False))

    def _past(self, group: Group) -> None:
        self._room_taken(group[0].episode.rule)
        self._send(group, "past")

    def _send(self, group: Group, kind: Literal["past", "digest"], *, digest: str | None = None) -> None:
        """A message that opens a conversation of its own, each destination with the rules it is told of."""
        conversations: dict[str, dict[str, str]] = {}
        wanted: dict[str, list[Matter]] = {}
        for matter in group:
            for destination in self._told.recipients.of(self._told.rule(matter.episode.rule).destinations):
                wanted.setdefault(destination, []).append(matter)
        for destination, matters in wanted.items():
            root = self._root(matters[0], destination)
            self._dispatch(tuple(matters), kind, destination, root, digest=digest)
            for matter in matters:
                conversations.setdefault(f"{matter.key}", {})[destination] = root
        for matter in group:
            self._mark((matter,), "past" if matter.episode.ended_at else "firing", conversations[f"{matter.key}"])

    def _remind(self, group: Group) -> None:
        """One reminder a conversation, of all that fire in it, as soon as one of them is due."""
        done: set[tuple[str, int]] = set()
        for matter in group:
            if matter.key in done:
                continue
            together = self._firing_beside(matter)
            done |= {other.key for other in together}
            k = max(other.telling.reminders for other in together) + 1
            told = False
            for destination, conversation in matter.conversations.items():
                if thread_of_overall(self._book, matter.episode, destination) is None:
                    self._dispatch(together, "reminder", destination, conversation, k=k)
                    told = True
            if told:
                for other in together:
                    telling = replace(other.telling, reminders=k, last_told_at=self._now)
                    self._book.keep(replace(other, telling=telling))

    def _firing_beside(self, matter: Matter) -> Group:
        found = []
        for other in self._book.of_rule(matter.episode.rule, matter.episode.environment):
            instance = self._book.where(other)
            holding = silencing(self._silences, other.episode, now=self._now, complete_to=self._complete_to)
            fires = instance is not None and instance.phase == "firing" and instance.is_measured
            if fires and not holding and other.conversations == matter.conversations and not other.episode.ended_at:
                found.append(other)
        return tuple(sorted(found, key=_worst_first))

    def _resolve(self, group: Group, rule: str) -> None:
        """One message a conversation for what is over, as a quiet reply; where nobody is to be disturbed, later."""
        left = list(group)
        while left and self._has_room(rule):
            same = ending_of(left[0])
            together = tuple(matter for matter in left if ending_of(matter) == same)
            left = [matter for matter in left if ending_of(matter) != same]
            self._room_taken(rule)
            for destination, conversation in together[0].conversations.items():
                self._dispatch(together, "resolved", destination, conversation)
            for matter in together:
                self._book.keep(replace(matter, telling=noted(matter.telling, "resolved", self._now), is_done=True))

    # -- conversations and bounds -------------------------------------------------------------------------------------

    def _own_thread(self, episode: Episode, destination: str) -> str | None:
        """The conversation that the rule opened shortly before."""
        grouping = timedelta(minutes=self._told.settings.grouping)
        for thread in reversed(self._book.threads):
            same = (thread.rule, thread.environment, thread.destination)
            if same == (episode.rule, episode.environment, destination) and self._now - thread.opened_at < grouping:
                return thread.conversation
        return None

    def _root(self, matter: Matter, destination: str) -> str:
        return f"{name_of(matter.episode)}|{destination}"

    def _has_room(self, rule: str) -> bool:
        return not crowded(self._book, rule, self._now)

    def _room_taken(self, rule: str) -> None:
        self._book.sent.append((rule, self._now))

    def _dispatch(
        self, group: Group, kind: Kind, destination: str, conversation: str, *, k: int = 0, digest: str | None = None
    ) -> None:
        first = group[0].episode
        episodes = tuple(matter.episode for matter in group)
        severity = min((episode.severity for episode in episodes), key=lambda name: _RANKS.get(name, 1))
        announcement = Announcement(
            kind, episodes, self._now, self._complete_to, k=k, digest=digest, explains=self._explained(episodes)
        )
        key = f"{name_of(first)}|{kind}{f':{k}' if k else ''}|{destination}"
        is_held = kind in ("resolved", "confirmed") and severity != "critical" and self._quiet_until
        due = self._quiet_until if is_held and self._quiet_until else self._now
        self._found.append(Dispatch(announcement, destination, key, conversation, severity, due))

    def _explained(self, episodes: Sequence[Episode]) -> tuple[str, ...]:
        """The daily rules that fire since a commit that is told of here was first seen."""
        commits = [episode for episode in episodes if episode.rule == "commit_regression"]
        found: set[str] = set()
        for commit in commits:
            since = commit.started_at - EXPLAINED_BEFORE if commit.began_at is None else commit.began_at
            opened = self._book.open_of(DAILY, commit.environment)
            found |= {episode.rule for episode in opened if episode.started_at >= since}
        return tuple(rule for rule in DAILY if rule in found)

    def _mark(self, group: Group, kind: Occasion, conversations: dict[str, str]) -> None:
        for matter in group:
            telling = noted(matter.telling, kind, self._now)
            self._book.keep(
                replace(
                    matter, telling=telling, conversations=dict(conversations), digest=None, due=None,
                    is_done=matter.episode.ended_at is not None,
                )
            )  # fmt: skip


def _worst_first(matter: Matter) -> tuple[int, str, float, str, str]:
    """By severity, rule, how bad it is, and name."""
    episode = matter.episode
    return (
        _RANKS.get(episode.severity, 1), episode.rule, -badness(episode.worst), episode.subject, episode.environment,
    )  # fmt: skip
