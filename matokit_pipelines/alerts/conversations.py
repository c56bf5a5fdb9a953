"""Bounds of what is told, and the conversations in which it is: pure questions to the book.

Not here: what is due (announcing.py).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import A_DAY, AN_HOUR, TOLD_STALE, Book, Matter

OVERALL, STALE = "overall_success_rate", "data_stale"
INHIBITED = ("high_volume_failures", "new_failure_pattern")
LONGEST_SUBJECT = 120
MOST_AN_HOUR = 12  # messages on one rule that begin, join, end or are past; more wait and share one


def told_today(book: Book, now: datetime) -> list[datetime]:
    """When the operators were told in the last 24 hours that data are old: they are told once a day at most."""
    return [at for name, at in book.sent if name == TOLD_STALE and now - at < A_DAY]


def crowded(book: Book, rule: str, now: datetime) -> list[datetime]:
    """When the messages on a rule of the last hour were made, if there may be no more; else nothing."""
    recent = [at for name, at in book.sent if name == rule and now - at < AN_HOUR]
    return recent if len(recent) >= MOST_AN_HOUR else []


def thread_of_overall(book: Book, episode: Episode, destination: str) -> str | None:
    """The conversation of the overall alert that explains this one, for a destination that got it."""
    if episode.rule not in INHIBITED:
        return None
    for matter in book.of_rule(OVERALL, episode.environment):
        if matter.episode.ended_at is None and destination in matter.conversations:
            return matter.conversations[destination]
    return None


def is_inhibited(book: Book, matter: Matter) -> bool:
    """Whether everybody who was told of it has the overall alert to look at."""
    told = matter.conversations
    return bool(told) and all(thread_of_overall(book, matter.episode, destination) for destination in told)


def ending_of(matter: Matter) -> tuple[str | None, dict[str, str]]:
    """Where the end of an episode is told, and why it is over: what differs in that is told apart."""
    return matter.episode.end_reason, dict(matter.conversations)


def name_of(episode: Episode) -> str:
    """What names an episode in keys: fingerprint and number; a very long subject by its beginning and a hash, since
    services bound what may be kept beside a message."""
    subject = episode.subject
    if len(subject) > LONGEST_SUBJECT:
        digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        subject = f"{subject[: LONGEST_SUBJECT - 17]}~{digest}"
    return f"{episode.rule}|{subject}|{episode.environment}|{episode.number}"
