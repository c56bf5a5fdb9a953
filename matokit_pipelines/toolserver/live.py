"""Asking Matomo while a caller waits: one line a server, bounded in time, tries and number.

A limit that Matomo tells is kept, and a token that it refuses is not sent again for a while: some twenty failed log-ins
an hour lock our address out. Not here: which questions there are (sources/matomo_reports.py), a server that does not
answer (outage.py), what to tell the caller of a failure (upstream.py).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AccessRefused,
    CredentialsRefused,
    LockedOut,
    MatokitError,
    ReportRefused,
)
from matokit_pipelines.settings import Loaded
from matokit_pipelines.sources.http import Answer, HttpLimits, HttpSession
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.sources.matomo_reports import MatomoReports, Question
from matokit_pipelines.sources.rate_memory import RateMemory, RateState
from matokit_pipelines.toolserver.live_errors import hide, told
from matokit_pipelines.toolserver.outage import LeftAlone, Outage
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.remembering import Remembered
from matokit_pipelines.toolserver.sites import Connection, Site
from matokit_pipelines.toolserver.upstream import BUSY_SECONDS, problem_of

T = TypeVar("T")
Hook = Callable[[str, str, float], None]

ATTEMPTS = 2
CONNECT_SECONDS = 5.0
REFUSED_SECONDS = 1800.0  # two failed log-ins each time: four an hour
LOCKED_SECONDS = 300.0
PROOF_SECONDS = 2.0
NO_PLACE_SECONDS = 1.0
LIVE_SHARE = 0.9  # of the time of a call: the tables need some to answer where Matomo does not


@dataclass
class _Line:
    """What is known of one server: the connections to it, its limit, its silence, which tokens it took and refused.

    Tokens are kept as fingerprints; `refused` holds since when and until when, under "" what is so whatever the token.
    `proving` is held by the first call under a token, `checking` by the one call that finds out whether a token is
    refused or lacks a right: however many callers there are, few log-ins fail.
    """

    session: HttpSession
    rate: RateMemory
    outage: Outage
    proven: set[str] = field(default_factory=set, repr=False)
    refused: dict[str, tuple[MatokitError, datetime, datetime]] = field(default_factory=dict, repr=False)
    proving: threading.Lock = field(default_factory=threading.Lock)
    checking: threading.Lock = field(default_factory=threading.Lock)


class _Client(MatomoClient):
    """A client that lets one call at a time find out what a 401 means. `checked` wraps that call."""

    def __init__(
        self, session: HttpSession, site_id: str, token: str, checked: Callable[[Callable[[], None]], None]
    ) -> None:
        super().__init__(session, site_id, lambda: token)
        self._checked = checked

    def check_access(self) -> None:
        self._checked(super().check_access)


class LiveConnections:
    """Live questions to any of the sites, from any number of threads.

    `hook(method, outcome, seconds)` hears of every question; outcome is "ok", "left-alone" where the server was not
    asked because it did not answer lately, or the category of a Problem.
    `remembered` keeps what probes found, see health/.
    """

    def __init__(self, loaded: Loaded, clock: Clock, *, hook: Hook | None = None) -> None:
        limits = loaded.settings.toolserver
        self._clock = clock
        self._hook = hook
        self._seconds = LIVE_SHARE * limits.call_seconds
        self._most = max(1, limits.calls_at_once // 2)  # the other half stays free for what the tables answer
        self._places = threading.BoundedSemaphore(self._most)
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self.remembered = Remembered(clock)

    def ask(self, site: Site, questions: Sequence[Question]) -> list[Any]:
        """The parsed answer to each question, in order; several travel in one request. Problem when one fails."""
        answers = self.ask_each(site, questions)
        for answer in answers:
            if isinstance(answer, Problem):
                raise answer
        return answers

    def ask_each(self, site: Site, questions: Sequence[Question]) -> list[Any]:
        """As `ask`, but a question that is refused by itself has its Problem in its place."""
        if not questions:
            return []
        method = questions[0].method if len(questions) == 1 else "API.getBulkRequest"
        with self._asked(site, method, tuple((one.method, *sorted(one.params.items())) for one in questions)) as client:
            reports = MatomoReports(client)
            if len(questions) == 1:
                return [reports.ask(questions[0])]
            answers = reports.ask_all(questions)
            if any(isinstance(answer, ReportRefused) for answer in answers):
                client.check_access()  # within a bulk a missing right is told in words only, and those are translated
            return [problem_of(a, site=site) if isinstance(a, MatokitError) else a for a in answers]

    def goals(self, site: Site) -> list[dict[str, Any]]:
        """The goals of a site as Matomo lists them."""
        with self._asked(site, "Goals.getGoals") as client:
            return MatomoReports(client).goals()

    def facts(self, site: Site) -> dict[str, Any]:
        """What Matomo says of a site: name, timezone, currency, ecommerce and more."""
        with self._asked(site, "SitesManager.getSiteFromId") as client:
            return MatomoReports(client).facts()

    def probe(self, site: Site, method: str, ask: Callable[[MatomoClient], T], seconds: float) -> T:
        """What `ask` gives, within `seconds` and outside the count of calls at once, for health checks.

        The source's own errors come through; see sources/matomo.py.
        """
        return self._timed(site, method, seconds, ask)

    def rate(self, connection: Connection) -> tuple[RateState, float]:
        """What that Matomo said of its limit, and for how many seconds it wants no request."""
        rate = self._line(connection).rate
        return rate.state, rate.paused_seconds

    def left_alone(self, connection: Connection) -> float:
        """For how many seconds tools do not ask that Matomo because it did not answer lately; 0: they ask."""
        return self._line(connection).outage.seconds

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            lines = list(self._lines.values())
            self._lines.clear()
        for line in lines:
            line.session.close()

    # -- one question -------------------------------------------------------------------------------------------------

    @contextmanager
    def _asked(self, site: Site, method: str, asked: Hashable = None) -> Iterator[MatomoClient]:
        """A client for one question of a tool; errors come out as Problems. `asked`: what beside the method."""
        began = self._clock.now()
        outcome, outage, question = "ok", self._line(site.connection).outage, (site.id, method, asked)
        try:
            with outage.asking(question), self._placed(), self._client(site, self._seconds) as client:
                yield client
        except LeftAlone as alone:
            outcome = "left-alone"
            raise _later(problem_of(alone.error, site=site), outage.seconds_for(question)) from alone
        except MatokitError as error:
            problem = _later(problem_of(error, site=site), outage.seconds_for(question))
            outcome = problem.category
            raise problem from error
        except Problem as problem:
            outcome = problem.category
            raise
        finally:
            self._note(method, outcome, (self._clock.now() - began).total_seconds())

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """One of the places for live questions, or the Problem that all are taken."""
        if not self._places.acquire(blocking=False):
            raise Problem(
                "rate-limit",
                f"{self._most} live questions are being asked already, as many as may be at once.",
                retry_after=NO_PLACE_SECONDS,
            )
        try:
            yield
        finally:
            self._places.release()

    def _timed(self, site: Site, method: str, seconds: float, ask: Callable[[MatomoClient], T]) -> T:
        began = self._clock.now()
        outcome = "ok"
        try:
            with self._client(site, seconds) as client:
                return ask(client)
        except MatokitError as error:
            outcome = problem_of(error, site=site).category
            raise
        finally:
            self._note(method, outcome, (self._clock.now() - began).total_seconds())

    @contextmanager
    def _client(self, site: Site, seconds: float) -> Iterator[MatomoClient]:
        """A client whose budget begins now; what it raises is remembered where that spares the server."""
        began = self._clock.now()
        line, token = self._line(site.connection), site.connection.token()
        mark = _fingerprint(token)
        with self._proving(line, mark, seconds):
            line.rate.wait(seconds)
            left = max(0.001, seconds - (self._clock.now() - began).total_seconds())
            limits = HttpLimits(
                connect_timeout=min(CONNECT_SECONDS, left), read_timeout=left, attempts=ATTEMPTS, budget=left
            )
            session = line.session.for_a_call(limits)
            try:
                yield _Client(session, site.id, token, lambda check: self._check_once(line, mark, check))
            except MatokitError as error:
                self._learn(line, mark, error)
                if (known := told(error, session, left, seconds)) is not error or hide(token, error):
                    raise known from None  # what it comes from may hold the token
                raise

    @contextmanager
    def _proving(self, line: _Line, mark: str, seconds: float) -> Iterator[None]:
        """Let the first call under a token go alone for as long as a refusal takes; raise what was refused lately."""
        self._refuse_again(line, mark)
        if mark in line.proven:
            yield
            return
        is_alone = line.proving.acquire(timeout=min(seconds / 2, PROOF_SECONDS))
        try:
            self._refuse_again(line, mark)
            yield
            line.proven.add(mark)
        except (AccessRefused, ReportRefused):
            line.proven.add(mark)
            raise
        finally:
            if is_alone:
                line.proving.release()

    def _check_once(self, line: _Line, mark: str, check: Callable[[], None]) -> None:
        """Find out what a 401 means, unless another call has just found out."""
        with line.checking:
            self._refuse_again(line, mark)
            try:
                check()
            except MatokitError as error:
                self._learn(line, mark, error)
                raise

    def _learn(self, line: _Line, mark: str, error: MatokitError) -> None:
        """Remember what spares the server further questions."""
        if isinstance(error, CredentialsRefused):
            self._remember(line, mark, error, REFUSED_SECONDS)
        elif isinstance(error, LockedOut):
            self._remember(line, "", error, LOCKED_SECONDS)
        elif isinstance(error, ReportRefused) and problem_of(error).category == "rate-limit":
            line.rate.pause(BUSY_SECONDS)

    def _line(self, connection: Connection) -> _Line:
        place = connection.url.lower()
        with self._lock:
            line = self._lines.get(place)
            if line is None:
                rate = RateMemory(connection.name, self._clock)
                # 429 is for the memory to wait out; what is tried again here are servers that stumble
                outage = Outage(self._clock)
                session = HttpSession(connection.name, connection.url, self._clock, heard=_heard_by(rate, outage))
                line = self._lines[place] = _Line(session, rate, outage)
            return line

    def _refuse_again(self, line: _Line, mark: str) -> None:
        """Raise what the server said lately: of this token, or of our address whatever the token."""
        with self._lock:
            now = self._clock.now()
            for one, (error, since, until) in list(line.refused.items()):
                if now < since:  # the clock was put back: it counts anew
                    line.refused[one] = error, now, now + (until - since)
                elif until <= now:
                    del line.refused[one]
            known = line.refused.get("") or line.refused.get(mark)
        if known:
            raise type(known[0])(str(known[0]))

    def _remember(self, line: _Line, mark: str, error: MatokitError, seconds: float) -> None:
        with self._lock:
            now = self._clock.now()
            line.refused[mark] = error, now, now + timedelta(seconds=seconds)
            line.proven.discard(mark)

    def _note(self, method: str, outcome: str, seconds: float) -> None:
        if self._hook:
            self._hook(method, outcome, seconds)


def _later(problem: Problem, seconds: float) -> Problem:
    """The problem with the seconds before which asking again is in vain, where it has none of its own."""
    if problem.retry_after is None and seconds:
        problem.retry_after = seconds
    return problem


def _heard_by(rate: RateMemory, outage: Outage) -> Callable[[Answer], None]:
    def heard(answer: Answer) -> None:
        rate.hear(answer)
        if answer.status == 429:  # the wait that it asks for may use up the time of the question
            outage.heard()

    return heard


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
