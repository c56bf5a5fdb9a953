"""What is to be told: episodes of alerts, and the occasions on which somebody hears of them.

Plain data between the life cycle, which decides that something is told, and the composer, which finds the words.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from matokit_pipelines.alerts.verdicts import Verdict

EndReason = Literal["recovered", "no_longer_measurable", "not_confirmed"]
ID_LETTERS = 10
Kind = Literal["firing", "joined", "reminder", "confirmed", "resolved", "past", "digest"]


@dataclass(frozen=True)
class Episode:
    """A firing period of one rule and subject; times in UTC.

    started_at: the tick at which rule and guard first held; detected_at: the run that found it; is_late: found by
    evaluating again because events came late. first, worst, last: verdicts at the start, at the worst, at the newest
    evaluation with data. ended_at: the tick at which it was over. began_at: when the change itself seems to have
    begun, where the rule can tell. corrected: later data changed a figure that was told.
    """

    rule: str
    subject: str
    environment: str
    number: int
    severity: str
    started_at: datetime
    detected_at: datetime
    first: Verdict
    worst: Verdict
    last: Verdict
    is_late: bool = False
    is_provisional: bool = False
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    began_at: datetime | None = None
    corrected: bool = False

    @property
    def fingerprint(self) -> str:
        return f"{self.rule}|{self.subject}|{self.environment}"

    @property
    def id(self) -> str:
        """Ten letters that name it for people: on its page and in answers of tools."""
        name = f"{self.fingerprint}|{self.number}"
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:ID_LETTERS]


@dataclass(frozen=True)
class Announcement:
    """One thing to tell.

    kind: `firing` (one rule, its subjects that started together, worst first), `joined` (further subjects, or a rule
    that is inhibited, told in the thread of another message), `reminder` (number `k` from 1), `confirmed` (complete
    data bear a provisional alert out), `resolved`, `past` (began and ended before anybody could be told), `digest`
    (episodes of several rules, also ended ones).
    at: when it is told; complete_to: the watermark. digest: `warnings` or `health`. explains: rules of the daily
    three that a commit regression explains. caveats: sentences on what the data do not hold.
    """

    kind: Kind
    episodes: tuple[Episode, ...]
    at: datetime
    complete_to: datetime
    k: int = 0
    digest: str | None = None
    explains: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
