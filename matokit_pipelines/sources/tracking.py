"""Sending installer events to a source's own tracker, in bulk: to try the way from one end to the other.

Both services take `{"requests": ["?idsite=...&rec=1&...", ...]}` without credentials: Piwik PRO at `ppms.php` (answers
202, which promises nothing), Matomo at `matomo.php` (answers how many it counted). Neither knows an event again that
is sent twice, so nothing is ever tried again. Not here: reading events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import AnswerNotUnderstood, PageTooLarge, SourceError, SourceMissing, SourceUnavailable
from matokit_pipelines.settings import Kind, Loaded, Meaning, SourceSettings
from matokit_pipelines.sources.http import Answer, HttpLimits, HttpSession

AT_ONCE = 50  # events in one request
LONGEST_TEXT = 4_096  # characters that Matomo takes; one more and the whole request is refused
ACTION = "Event"
_PATHS: dict[Kind, str] = {"piwik_pro": "ppms.php", "matomo": "matomo.php"}


@dataclass(frozen=True)
class Tracked:
    """One event to send. `visitor`: 16 hexadecimal digits; `at`: when it happened, aware; `dimensions`: what else is
    told, by meaning, as far as the source has a dimension for it."""

    visitor: str
    at: datetime
    category: str
    name: str
    value: float
    dimensions: dict[Meaning, str]
    action: str = ACTION


class Tracker:
    """The tracker of one source. Each request is sent once."""

    def __init__(self, session: HttpSession, source: SourceSettings) -> None:
        self._session = session
        self._source = source

    def send(self, events: Sequence[Tracked], progress: Callable[[str, int, int], None] | None = None) -> int:
        """Send the events in order; gives how many requests that took.

        SourceError (or one of its kinds) says in one sentence why, and how many of the events were accepted before.
        """
        for number in range(0, len(events), AT_ONCE):
            batch = events[number : number + AT_ONCE]
            self._send(batch, f"{number:,} of {len(events):,} events were accepted before")
            if progress:
                progress("", number + len(batch), len(events))
        return -(-len(events) // AT_ONCE)

    def close(self) -> None:
        """Give the connection back."""
        self._session.close()

    def _send(self, batch: Sequence[Tracked], before: str) -> None:
        path = _PATHS[self._source.kind]
        body = {"requests": ["?" + urlencode(self._parameters(event)) for event in batch]}
        where = f"the tracker of source {self._source.name} at {self._session.host}"
        try:
            answer = self._session.request("POST", path, json=body, passing=lambda answer: None)
        except (SourceUnavailable, PageTooLarge) as error:
            lost = error.__cause__ if isinstance(error, SourceUnavailable) else None
            why = str(lost or "it did not answer in time")
            raise SourceUnavailable(
                f"Events could not be sent to {where}: {why}; {before}, whether the next {len(batch)} were is not "
                "known."
            ) from error
        if answer.status == 404:
            raise SourceMissing(f"There is no {path} at {self._session.base_url}; correct the url; {before}.")
        if not 200 <= answer.status < 300:
            raise SourceError(
                f"Events were refused by {where} (it answered {answer.status}): see that site_id is right; {before}."
            )
        if self._source.kind == "matomo" and (counted := _counted(answer, where)) != len(batch):
            raise SourceError(
                f"Only {counted} of {len(batch)} events were taken by {where}: see that site_id is right and that "
                f"tracking is switched on there; {before}."
            )

    def _parameters(self, event: Tracked) -> dict[str, str]:
        told = {
            "idsite": self._source.site_id,
            "rec": "1",
            "cid": event.visitor,
            "cdt": str(int(event.at.astimezone(UTC).timestamp())),
            "e_c": event.category,
            "e_a": event.action,
            "e_n": event.name,
            "e_v": f"{event.value:.15g}",
        }
        for meaning, text in event.dimensions.items():
            if meaning in self._source.dimensions:
                told[f"dimension{self._source.dimensions[meaning]}"] = text
        return told


def tracker_for(loaded: Loaded, source: SourceSettings, clock: Clock) -> Tracker:
    """The tracker of a source, with the patience of the settings but for further tries."""
    patience = loaded.settings.http
    limits = HttpLimits(
        connect_timeout=patience.connect_timeout, read_timeout=patience.read_timeout, attempts=1, budget=patience.budget
    )
    return Tracker(HttpSession(source.name, source.url, clock, limits), source)


def _counted(answer: Answer, where: str) -> int:
    """How many events a Matomo says it has counted; it answers 200 whether or not it did."""
    try:
        told: Any = json.loads(answer.body)
        return int(told["tracked"])
    except (ValueError, KeyError, TypeError) as error:
        raise AnswerNotUnderstood(
            f"What came back from {where} is no answer of Matomo's tracker; correct the url."
        ) from error
