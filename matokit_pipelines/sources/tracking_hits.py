"""Sending one hit of a website to a Matomo's tracker, once: what came of it, and whether it may have been counted.

A Matomo does not know a hit again that is sent twice, so the one question here is whether a failure leaves it open.
Each hit has a connection of its own: one kept for the next may be closed while that is being written, which would
leave its outcome open. Not here: installer events in bulk (tracking.py), when a hit is tried again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from requests import exceptions as failures
from urllib3 import exceptions as wire_failures

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import MatokitError, SourceError, SourceTimedOut, SourceUnavailable
from matokit_pipelines.sources.http import Answer, HttpLimits, HttpSession
from matokit_pipelines.sources.pacing import told_wait

ENDPOINTS = ("matomo.php", "piwik.php")
ALWAYS = {"rec": "1", "apiv": "1", "send_image": "0"}
_NO_HANDSHAKE = re.compile("CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|HANDSHAKE")
# By these a server says that it did nothing with a request; any other 5xx may come after the work.
UNTOUCHED = frozenset({408, 425, 429, 503})


@dataclass(frozen=True)
class Patience:
    """Seconds one attempt may take: for a connection, for (the next part of) an answer, in all."""

    connect: float = 5.0
    read: float = 10.0
    budget: float = 12.0

    @property
    def longest(self) -> float:
        """The most seconds an attempt can take."""
        return self.connect + self.read + max(self.read, self.budget)


@dataclass(frozen=True)
class Taken:
    """The Matomo took it; `status` is that of its answer."""

    status: int


@dataclass(frozen=True)
class Later:
    """It did not go through now. is_unknown: it may have been counted nevertheless. wait: seconds the server asked for.
    is_down: the tracker itself failed, so that others need not try at once."""

    why: str
    is_unknown: bool
    status: int | None = None
    wait: float | None = None
    is_down: bool = False


@dataclass(frozen=True)
class Refused:
    """The Matomo does not want it, now or later."""

    why: str
    status: int


Ended = Taken | Later | Refused


def send_hit(
    tracker: str, token: str | None, form: Mapping[str, str], clock: Clock, patience: Patience | None = None
) -> Ended:
    """Send one hit as a form POST. tracker: the base URL, or the whole address ending in matomo.php or piwik.php."""
    base, path = address(tracker)
    times = patience or Patience()
    limits = HttpLimits(connect_timeout=times.connect, read_timeout=times.read, attempts=1, budget=times.budget)
    told = {**form, **ALWAYS, **({"token_auth": token} if token else {})}
    session = HttpSession("tracking", base, clock, limits, transient=frozenset())
    try:
        answer = session.request("POST", path, form=told, headers={"Connection": "close"}, passing=lambda answer: None)
    except MatokitError as error:
        return _without_answer(error)
    finally:
        session.close()
    return _meaning(answer, clock)


def address(tracker: str) -> tuple[str, str]:
    """Base URL and path of a tracker."""
    base, _, last = tracker.rstrip("/").rpartition("/")
    if last in ENDPOINTS:
        return base, last
    return tracker.rstrip("/"), ENDPOINTS[0]


def _meaning(answer: Answer, clock: Clock) -> Ended:
    status = answer.status
    if 200 <= status < 300:
        if answer.kind.startswith("text/html") and answer.body.strip():
            return Later("a page came back in place of a tracker's answer; correct the url", True, status)
        return Taken(status)
    said = f"it answered {status}"
    if status in UNTOUCHED:
        asked = answer.headers.get("Retry-After")
        wait = told_wait(asked, clock.now()) if asked else None
        return Later(said, False, status, wait, is_down=wait is not None)
    if status >= 500:
        return Later(said, True, status)
    return Refused(said, status)


def _without_answer(error: MatokitError) -> Ended:
    """No answer: whether the hit left this machine decides."""
    if isinstance(error, SourceTimedOut):
        return Later("it did not answer in time", True, is_down=True)
    if isinstance(error, SourceUnavailable):
        why = str(error.__cause__ or "it did not answer in time")
        return Later(why, not _never_left(error), is_down=True)
    if isinstance(error, SourceError):  # a certificate, a redirect, an address: nothing was counted
        cause = error.__cause__
        is_cut_off = isinstance(cause, failures.SSLError) and not _NO_HANDSHAKE.search(str(cause))
        return Later(str(error).rstrip("."), is_cut_off, is_down=True)
    raise error


def _never_left(error: BaseException) -> bool:
    """Whether there was no connection in the first place, by what caused the error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, failures.ConnectTimeout):
            return True
        if isinstance(seen, failures.ConnectionError):
            about = seen.args[0] if seen.args else None
            reason = getattr(about, "reason", about)
            return isinstance(reason, wire_failures.NewConnectionError | wire_failures.NameResolutionError)
        seen = seen.__cause__
    return False
