"""The simulated Matomo: its parts put together and served.

Belongs here: order of work on a request, faults, records of what was asked. Does not belong here: any answer, the
socket (wire).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

import polars as pl

from matokit_pipelines.simulator.faults import Dice, Faults
from matokit_pipelines.simulator.matomo_access import Access, Tokens
from matokit_pipelines.simulator.matomo_answers import MatomoError, error_answer, maintenance, page
from matokit_pipelines.simulator.matomo_api import MatomoApi
from matokit_pipelines.simulator.matomo_live import Site
from matokit_pipelines.simulator.matomo_log import MatomoLog, arrivals
from matokit_pipelines.simulator.matomo_tracking import MatomoTracking
from matokit_pipelines.simulator.matomo_tracking_trouble import TrackingTrouble
from matokit_pipelines.simulator.matomo_web import WebTruth
from matokit_pipelines.simulator.matomo_web_log import WebLog, web_hits
from matokit_pipelines.simulator.matomo_web_pages import SITE_URL
from matokit_pipelines.simulator.truth import Truth
from matokit_pipelines.simulator.wire import Answer, Asked, Listener, Request

VIEW_TOKEN = "5e1ec7ab1e" + "0" * 22


class MatomoSimulator:
    """A Matomo on 127.0.0.1, in threads of this process. Use it in a `with` statement or call stop().

    truth_or_log: a Truth, or a frame with its sent columns (event_ts to url). zone: the site's time zone, the
    truth's by default. token: a token that may view the site. now: the clock (aware); only what has been sent by
    then exists, and it must not run backwards. on_request is called before every API request with its number
    (from 1) and method. url has no slash at its end. token_post_only: see `matomo_access.Tokens`.
    no_access_token and superuser_token are further valid tokens.

    web: the visits of a second site, `web_site_id`, which sells things and has goals. tracking_trouble: orders
    refusals and broken connections for the next tracking requests.
    """

    def __init__(
        self,
        truth_or_log: Truth | pl.DataFrame,
        *,
        site_id: int = 1,
        zone: str | None = None,
        token: str = VIEW_TOKEN,
        now: Callable[[], datetime],
        faults: Faults | None = None,
        port: int = 0,
        version: str = "5.2.0",
        on_request: Callable[[int, str], None] | None = None,
        token_post_only: bool = True,
        web: WebTruth | None = None,
        web_site_id: int = 2,
    ) -> None:
        faults = faults or Faults()
        events = truth_or_log.events if isinstance(truth_or_log, Truth) else truth_or_log
        place = zone or (truth_or_log.zone if isinstance(truth_or_log, Truth) else "UTC")
        self.token, self.no_access_token, self.superuser_token = token, token[::-1] + "a", token[::-1] + "b"
        self.on_request = on_request
        self.requests = Asked()
        self._now = now
        self._dice = Dice(faults)
        self._turn = threading.Lock()
        self._stored = threading.Condition(self._turn)
        late = (faults.late_share, faults.late_seconds, faults.seed)
        self.log = MatomoLog(arrivals(events, place, late), place)
        self.log.advance(int(now().timestamp()))
        self.web_log = WebLog(web_hits(web), web.zone) if web is not None else None
        web_site = Site(web_site_id, "Download site", "EUR", "€")
        self.tracking_trouble = TrackingTrouble()
        tokens = Tokens(self.token, self.no_access_token, self.superuser_token, token_post_only)
        first = events["event_ts"].min()
        created = min(
            first.astimezone(UTC) if isinstance(first, datetime) else now(), web.start if web is not None else now()
        )
        self._api = MatomoApi(
            site=Site(site_id, "Installer scripts", "DKK", "kr"),
            log=self.log,
            access=Access(tokens, self._dice),
            dice=self._dice,
            version=version,
            created=f"{created:%Y-%m-%d} 00:00:00",
            web=None if self.web_log is None else (web_site, self.web_log, SITE_URL),
        )
        web_tracked = None if self.web_log is None else (web_site_id, self.web_log)
        self._tracking = MatomoTracking(site_id, self.log, tokens, self._dice, version, web_tracked)
        self._listener = Listener(self, port)
        self.url = self._listener.url

    @property
    def struck(self) -> Counter[str]:
        """How often each fault has struck, by name."""
        return self._dice.struck

    @property
    def tracked(self) -> list[dict[str, str]]:
        """The parameters of every hit stored, of both sites, in order of arrival; tokens are left out."""
        with self._turn:
            return [dict(hit) for hit in self._tracking.tracked]

    def wait_for_tracked(self, count: int, seconds: float) -> bool:
        """Wait until `count` hits are stored, at most so long; whether they are."""
        with self._stored:
            return self._stored.wait_for(lambda: len(self._tracking.tracked) >= count, seconds)

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        """The answer to a request, and the fault of the wire it meets (dropped, half, slow) or None."""
        api = request.path.rstrip("/").rsplit("/", 1)[-1] not in ("matomo.php", "piwik.php")
        method = request.params.get("method", "")
        if api:
            with self._turn:
                self.requests.counts[method] += 1
                shown = {key: value for key, value in request.params.items() if key != "token_auth"}
                self.requests.recent.append((method, shown))
                number = self.requests.total
            if self.on_request is not None:
                self.on_request(number, method)
        with self._turn:
            now = int(self._now().timestamp())
            self.log.advance(now)
            if self.web_log is not None:
                self.web_log.advance(now)
            if not api:
                return self._tracked(request, now)
            fault = self._dice.transient()
            answer = _instead(fault, request) or self._api.answer(request, now)
            owed = self._dice.owed()
            passing = fault if fault in ("dropped", "half", "slow") else None
        # Outside the turn: a server computes one report while it answers others.
        time.sleep(owed)
        return answer, passing

    def _tracked(self, request: Request, now: int) -> tuple[Answer, str | None]:
        trouble = self.tracking_trouble.next()
        if trouble.answer is not None:
            return trouble.answer, None
        if trouble.dropped == "before":
            return Answer(500, "text/plain", b""), "dropped"
        answer = self._tracking.answer(request, now)
        self._stored.notify_all()
        return answer, "dropped" if trouble.dropped else None

    @property
    def slow_seconds(self) -> float:
        """How long a slow answer takes."""
        return self._dice.faults.slow_seconds

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self._listener.stop()

    def __enter__(self) -> MatomoSimulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _instead(fault: str | None, request: Request) -> Answer | None:
    if fault == "sqlstate":
        return error_answer(MatomoError("SQLSTATE[HY000] [2002] Connection refused", 500, page=True), request)
    if fault == "maintenance":
        return maintenance()
    if fault == "html":
        return page(200, "Sign in", "Sign in", "This page is shown in place of an answer.")
    return None
