"""The simulated Piwik PRO: its parts put together and served.

Belongs here: order of work on a request, faults, records of what was asked. Does not belong here: any answer, the
socket (wire).
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from matokit_pipelines.simulator.piwik_pro_access import CLIENT_ID, CLIENT_SECRET, Access, Client, Limiter
from matokit_pipelines.simulator.piwik_pro_answers import (
    PiwikProError,
    analytics_error,
    page,
    text_answer,
    too_many,
    zipped,
)
from matokit_pipelines.simulator.piwik_pro_api import Api, trimmed, unauthorised
from matokit_pipelines.simulator.piwik_pro_columns import catalogue
from matokit_pipelines.simulator.piwik_pro_debugger import Debugger
from matokit_pipelines.simulator.piwik_pro_faults import SERVER_ERRORS, Assumptions, Dice, PiwikProFaults
from matokit_pipelines.simulator.piwik_pro_manage import Manage
from matokit_pipelines.simulator.piwik_pro_query import Reports
from matokit_pipelines.simulator.piwik_pro_raw import Raw
from matokit_pipelines.simulator.piwik_pro_store import SAME_SLOTS, Dimension, Site, Store, seen
from matokit_pipelines.simulator.piwik_pro_tracking import Tracking
from matokit_pipelines.simulator.truth import Truth
from matokit_pipelines.simulator.wire import Answer, Asked, Listener, Request

SITE_ID = "11111111-2222-4333-8444-555555555555"
TRACKING = ("/ppms.php", "/piwik.php")
TOKEN = "/auth/token"  # noqa: S105  a path


@dataclass(frozen=True)
class _Passed:
    """A request that goes on to its part: whether its user sees the site, and the fault of the wire it meets."""

    sees: bool
    fault: str | None


class PiwikProSimulator:
    """A Piwik PRO with one site, on 127.0.0.1, in threads of this process. Use it in a `with` statement or call stop().

    truth_or_log: a Truth, or a frame with its sent columns (event_ts to url). zone: the site's time zone, the
    truth's by default. now: the clock (aware); only what has been sent by then exists. dimensions: the site's custom
    dimensions; `SAME_SLOTS` by default, `OTHER_SLOTS` where tracking ids and slots differ. on_request is called
    before every API request with its number (from 1) and path. url has no slash at its end. client_id and
    client_secret belong to a user who may see the site, no_access_client_id (same secret) to one who may not.
    """

    def __init__(
        self,
        truth_or_log: Truth | pl.DataFrame,
        *,
        site_id: str = SITE_ID,
        zone: str | None = None,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        now: Callable[[], datetime],
        faults: PiwikProFaults | None = None,
        assumed: Assumptions | None = None,
        port: int = 0,
        on_request: Callable[[int, str], None] | None = None,
        dimensions: Sequence[Dimension] | None = None,
    ) -> None:
        self.faults, self.assumed = faults or PiwikProFaults(), assumed or Assumptions()
        self.site_id, self.client_id, self.client_secret = site_id, client_id, client_secret
        self.no_access_client_id = client_id[::-1] + "b"
        self.on_request = on_request
        self.requests = Asked()
        self._now = now
        self._turn = threading.Lock()
        self._dice = Dice(self.faults)
        events = truth_or_log.events if isinstance(truth_or_log, Truth) else truth_or_log
        self.site = Site(site_id, "Installer", _zone(truth_or_log, zone), _created(events, now), _all(dimensions))
        self._sent = events.height
        self.store = Store(events, self.site, self.faults, self.assumed)
        clients = (Client(client_id, client_secret, True), Client(self.no_access_client_id, client_secret, False))
        self._access = Access(clients, self.assumed, self.faults)
        self._limiter = Limiter(self.assumed)
        self._api = self._made()
        self._tracking = Tracking(self.site, self.store, self.assumed)
        self._listener = Listener(self, port)
        self.url = self._listener.url

    def _made(self) -> Api:
        columns = catalogue(self.site)
        raw = Raw(self.site, columns, self.faults, self.assumed, self._dice, self._turn)
        manage = Manage(self.site, columns, self.assumed)
        return Api(raw, Reports(raw), manage, Debugger(self.site, self.store.rules, self.assumed.debugger_exceeds))

    @property
    def struck(self) -> Counter[str]:
        """How often each fault has struck, by name."""
        return self._dice.struck

    @property
    def slow_seconds(self) -> float:
        """How long a slow answer takes."""
        return self.faults.slow_seconds

    def exclude(self, which: pl.Expr) -> int:
        """Take stored events out of raw data now, as an administrator may; returns how many.

        which: a condition on the columns of `piwik_pro_store.schema`.
        """
        with self._turn:
            return self.store.exclude(which, int(self._now().timestamp()))

    def in_sight(self, at: datetime, *, odd: bool = False) -> pl.Series:
        """By row of the sent events, or of the `odd` ones beside them: whether raw data show it at `at` (aware)."""
        snapshot = self.store.snapshot()
        shown = np.unique(snapshot.event[seen(snapshot, -(2**62), 2**62, int(at.timestamp()))])
        places = np.arange(self._sent, self._sent + self.faults.odd_rows) if odd else np.arange(self._sent)
        return pl.Series(np.isin(places, shown))

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        """The answer to a request, and the fault of the wire it meets (dropped, half, slow) or None."""
        path = trimmed(request.path)
        if path in TRACKING:
            with self._turn:
                return self._tracking.answer(request, int(self._now().timestamp())), None
        with self._turn:
            self.requests.counts[path] += 1
            self.requests.recent.append((path, _shown(request, path)))
            number = self.requests.total
        if self.on_request is not None:
            self.on_request(number, path)
        with self._turn:
            now = self._now().timestamp()
            first = self._before(request, path, now)
            if isinstance(first, tuple):
                return first
            sees, fault, snapshot = first.sees, first.fault, self.store.snapshot()
        answer = self._api.answer(request, sees, snapshot, int(now))
        return zipped(answer, request), fault

    def _before(self, request: Request, path: str, now: float) -> tuple[Answer, str | None] | _Passed:
        """Faults, token and rate limit: an answer already, or how to go on."""
        token, standing = self._access.known(request, now)
        fault = self._dice.transient(token.served if token else 0)
        instead = self._instead(fault)
        if instead is not None:
            return instead, None
        if path == TOKEN:
            return self._token(request, now), fault
        if token is None:
            return unauthorised(path, standing), fault
        if fault == "token_expires_early":
            token.void = True
            return unauthorised(path, "expired"), None
        wait = self._limiter.wait(request.http, token.client_id, path, now)
        if wait is not None:
            self.struck["rate_limit"] += 1
            return too_many(wait), fault
        token.served += 1
        return _Passed(token.sees, fault)

    def _token(self, request: Request, now: float) -> Answer:
        if request.http != "POST":
            return text_answer(405, "405 method not allowed")
        if self.assumed.rate_limit_tokens:
            wait = self._limiter.wait("POST", self.client_id, TOKEN, now)
            if wait is not None:
                self.struck["rate_limit"] += 1
                return too_many(wait)
        return self._access.token(request, now, self.url)

    def _instead(self, fault: str | None) -> Answer | None:
        """What a passing fault answers in place of the service."""
        if fault == "html":
            return page(*((200, "Sign in"), (502, "502 Bad Gateway"))[self._dice.pick(2)])
        if fault == "maintenance":
            return page(503, "Maintenance")
        if fault == "server_error":
            status = SERVER_ERRORS[self._dice.pick(len(SERVER_ERRORS))]
            return analytics_error(PiwikProError(status, "Internal error."))
        return too_many(self.faults.retry_after_s) if fault == "rate_limited" else None

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self._listener.stop()

    def __enter__(self) -> PiwikProSimulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _zone(truth_or_log: Truth | pl.DataFrame, zone: str | None) -> ZoneInfo:
    return ZoneInfo(zone or (truth_or_log.zone if isinstance(truth_or_log, Truth) else "UTC"))


def _created(events: pl.DataFrame, now: Callable[[], datetime]) -> datetime:
    first = events["event_ts"].min()
    return first if isinstance(first, datetime) else now()


def _all(dimensions: Sequence[Dimension] | None) -> tuple[Dimension, ...]:
    return SAME_SLOTS if dimensions is None else tuple(dimensions)


def _shown(request: Request, path: str) -> dict[str, Any]:
    """What a request asked for, without credentials."""
    if path == TOKEN:
        return {}
    try:
        body = json.loads(request.body) if request.body else {}
    except ValueError:
        body = {}
    return dict(request.params) | (body if isinstance(body, dict) else {})
