"""One HTTP session a source: time-outs, pace, bounded retries with jitter, one budget, nothing secret in what it says.

Answers come back whole, as bytes; what they mean is the caller's business, also which of them are worth another try.
Not here: paging, parsing, credentials, the arithmetic of waiting (pacing.py).
"""

from __future__ import annotations

import gzip
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from json import dumps
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from requests import exceptions as failures
from requests.structures import CaseInsensitiveDict
from urllib3 import exceptions as wire_failures

from matokit_pipelines import __version__
from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AnswerUnreadable,
    RequestsSpent,
    SourceBusy,
    SourceError,
    SourceTimedOut,
    SourceUnavailable,
    SourceUnreachable,
)
from matokit_pipelines.sources.pacing import Pacing, RateLimit, told_wait

CHUNK_BYTES = 1 << 16
LONGEST_PLACE = 200
TRANSIENT_STATUS = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class HttpLimits:
    """How patient to be. Seconds, but for `attempts` (of one request) and `requests`.

    `budget` and `requests` are for everything one session does; None means any number of requests.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 90.0
    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    budget: float = 3600.0
    requests: int | None = None


@dataclass(frozen=True)
class Answer:
    """A whole answer. `kind` is the media type without parameters, in lower case; names of `headers` in any case."""

    status: int
    kind: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=CaseInsensitiveDict, compare=False, repr=False)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")


Passing = Callable[[Answer], str | None]


class Unreadable(str):
    """Why an answer is worth another try: it came whole, and is not in the format that was asked for."""

    __slots__ = ()


@dataclass(frozen=True)
class _Request:
    """What is sent. Its secrets are in `headers` and `body`, never in the address, and in no repr."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: bytes | dict[str, str] | None = field(repr=False)


class _TryAgain(Exception):
    """A failure that passes: why ("it ..."), and how many seconds to wait (None: as we like).

    `retry_after` is what the server asked for by itself, None when it said nothing.
    """

    def __init__(self, why: str, wait: float | None = None, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait
        self.retry_after = retry_after

    def told(self, sentence: str) -> SourceUnavailable:
        """The error of which a person reads `sentence`, when there is no further try."""
        return SourceUnavailable(sentence)


class _NotInFormat(_TryAgain):
    """The answer came whole and could not be read."""

    def told(self, sentence: str) -> SourceUnavailable:
        return AnswerUnreadable(sentence)


class _NoConnection(_TryAgain):
    """There was no connection, or it was lost."""

    def told(self, sentence: str) -> SourceUnavailable:
        return SourceUnreachable(sentence)


class _TooManyRequests(_TryAgain):
    """The server answered 429."""

    def told(self, sentence: str) -> SourceUnavailable:
        return SourceBusy(sentence, self.retry_after)


class HttpSession:
    """Requests to one source, from any number of threads. No cookies, no redirects, no log-in but the caller's.

    `requests_made` counts what went over the wire, `bytes_received` the bodies that came over it, as they came.
    `transient` are the statuses worth another try whatever the answer holds. `heard` is told of every whole answer.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        clock: Clock,
        limits: HttpLimits | None = None,
        *,
        transient: frozenset[int] = TRANSIENT_STATUS,
        rate: RateLimit | None = None,
        heard: Callable[[Answer], None] | None = None,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.host = urlsplit(self.base_url).netloc.rpartition("@")[2]
        self._clock = clock
        self._limits = limits or HttpLimits()
        self._transient = transient
        self._heard = heard
        self._pacing = Pacing(rate, clock) if rate else None
        self._deadline = clock.now() + timedelta(seconds=self._limits.budget)
        self._lock = threading.Lock()
        self._requests_made = 0
        self._bytes_received = 0
        self._idle: list[requests.Session] = []

    @property
    def requests_made(self) -> int:
        return self._requests_made

    @property
    def bytes_received(self) -> int:
        return self._bytes_received

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        passing: Passing,
    ) -> Answer:
        """The answer to one request, tried again while the failure is one that passes. The body: `form` or `json`.

        `passing` says why an answer is worth another try (in words that end "it ..."), or None. Raises
        SourceUnavailable when no try or time is left (SourceUnreachable after lost connections, SourceBusy after 429,
        AnswerUnreadable where `passing` gave an Unreadable),
        RequestsSpent when no request is left, SourceTimedOut when the server did not answer in time, SourceError when
        the connection itself cannot be right (certificate, redirect).
        """
        kind = {} if json is None else {"Content-Type": "application/json"}
        body = dict(form) if form is not None else None if json is None else dumps(json).encode()
        wanted = _Request(method, path, dict(params or {}), {**kind, **(headers or {})}, body)
        retrying = tenacity.Retrying(
            sleep=self._clock.sleep,
            stop=tenacity.stop_after_attempt(self._limits.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        try:
            return retrying(self._once, wanted, passing)
        except _TryAgain as error:
            raise error.told(self._unavailable(error.why)) from error

    def post(self, path: str, params: Mapping[str, str], form: Mapping[str, str], passing: Passing) -> Answer:
        """The answer to one POST of a form; see `request`."""
        return self.request("POST", path, params=params, form=form, passing=passing)

    def for_a_call(self, limits: HttpLimits) -> HttpSession:
        """The same connections under limits of their own, whose budget begins now; counts begin at 0."""
        other = copy(self)
        other._limits = limits
        other._deadline = self._clock.now() + timedelta(seconds=limits.budget)
        other._requests_made = other._bytes_received = 0
        return other

    @property
    def is_out_of_time(self) -> bool:
        """Whether the budget is used up."""
        return self._clock.now() >= self._deadline

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()  # the list is shared with `for_a_call`
        for session in idle:
            session.close()

    # -- one try --------------------------------------------------------------------------------------------------

    def _once(self, wanted: _Request, passing: Passing) -> Answer:
        if self._pacing:
            self._pacing.wait_for_turn(wanted.method)
        self._seconds_left()
        self._count_request()
        answer = self._exchange(wanted)
        if self._heard:
            self._heard(answer)
        if 300 <= answer.status < 400:
            raise SourceError(
                f"{self.host} sends source {self.name} on to {_place(answer.headers.get('Location'))}; "
                "put that address into the source's url."
            )
        if answer.status == 429 and 429 in self._transient:
            said = answer.headers.get("Retry-After")
            wait = told_wait(said, self._clock.now())
            busy = _TooManyRequests("it answered 429 (too many requests)", wait, wait if said else None)
            if wait > self._seconds_left():
                raise busy.told(self._out_of_time(f"{self.host} asks to wait {wait:.0f} s"))
            raise busy
        if answer.status in self._transient:
            raise _TryAgain(f"it answered {answer.status}")
        if reason := passing(answer):
            raise (_NotInFormat if isinstance(reason, Unreadable) else _TryAgain)(reason)
        return answer

    def _exchange(self, wanted: _Request) -> Answer:
        """One request over the wire; what goes wrong there, in our words."""
        left, limits = self._seconds_left(), self._limits
        try:
            with (
                self._session() as session,
                session.request(
                    wanted.method,
                    f"{self.base_url}/{wanted.path}",
                    params=wanted.params,
                    data=wanted.body,
                    headers=wanted.headers,
                    timeout=(min(limits.connect_timeout, left), min(limits.read_timeout, left)),
                    allow_redirects=False,  # a redirected POST becomes a GET and loses what it carries
                    stream=True,
                ) as response,
            ):
                return self._read(response)
        except failures.SSLError as error:
            raise SourceError(self._certificate(error)) from error
        except failures.ConnectTimeout as error:
            raise _NoConnection("it could not be reached in time") from error
        except failures.ReadTimeout as error:
            raise self._timed_out() from error
        except failures.ConnectionError as error:
            raise _NoConnection(_why_no_connection(error)) from error
        except ValueError as error:  # InvalidURL and its kin, and what lies below requests says of impossible names
            raise SourceError(
                f'"{_without_log_in(self.base_url)}" is not a web address; correct the url of source {self.name}.'
            ) from error
        except OSError as error:  # what requests says when the file of REQUESTS_CA_BUNDLE is not there
            if "CA certificate bundle" not in str(error):
                raise
            raise SourceError(
                f"Source {self.name} cannot check the certificate of {self.host}: REQUESTS_CA_BUNDLE names a file that "
                "is not there; correct it."
            ) from error

    def _read(self, response: requests.Response) -> Answer:
        """The whole body. Unpacked here: the library below takes compressed bytes that end early for complete."""
        try:
            body = self._received(response)
            if response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip"):
                body = gzip.decompress(body)
        except wire_failures.ReadTimeoutError as error:
            raise self._timed_out() from error
        except (wire_failures.HTTPError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _NoConnection("it broke off in the middle of an answer") from error
        kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        return Answer(response.status_code, kind, body, response.headers)

    def _received(self, response: requests.Response) -> bytes:
        """The bytes of the body as they come, also counted when it breaks off."""
        parts: list[bytes] = []
        try:
            for part in response.raw.stream(CHUNK_BYTES, decode_content=False):
                parts.append(part)
                self._seconds_left()
        finally:
            with self._lock:
                self._bytes_received += sum(map(len, parts))
        return b"".join(parts)

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session for one request at a time; as many are kept as there were requests at once."""
        with self._lock:
            session = self._idle.pop() if self._idle else _new_session()
        try:
            yield session
        finally:
            with self._lock:
                self._idle.append(session)

    # -- limits ---------------------------------------------------------------------------------------------------

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next try: as told, else growing and random."""
        failure = state.outcome.exception() if state.outcome else None
        if isinstance(failure, _TryAgain) and failure.wait is not None:
            return failure.wait
        limits = self._limits
        return tenacity.wait_random_exponential(multiplier=limits.first_wait, max=limits.longest_wait)(state)

    def _count_request(self) -> None:
        most = self._limits.requests
        with self._lock:
            if most is None or self._requests_made < most:
                self._requests_made += 1
                return
        raise RequestsSpent(
            f"Source {self.name} used up the {most:,} requests it may make to {self.host} in one pass; what was read "
            "so far is kept, the next pass goes on from there."
        )

    def _seconds_left(self) -> float:
        left = (self._deadline - self._clock.now()).total_seconds()
        if left <= 0:
            raise SourceUnavailable(self._out_of_time())
        return left

    # -- what is told ---------------------------------------------------------------------------------------------

    def _out_of_time(self, because: str = "") -> str:
        return (
            f"Source {self.name} used up its time ({self._limits.budget:.0f} s{because and ', and ' + because}); what "
            "was read so far is kept, run the same command again to go on."
        )

    def _unavailable(self, why: str) -> str:
        return (
            f"Source {self.name} could not be read from {self.host}: {why}, {self._limits.attempts} times in a row; "
            "nothing is lost, the next pass goes on from here."
        )

    def _timed_out(self) -> SourceTimedOut:
        self._seconds_left()  # the time of the whole session may have run out first
        return SourceTimedOut(
            f"Source {self.name} got no answer from {self.host} within {self._limits.read_timeout:.0f} s; "
            "try again later, or raise http.read_timeout."
        )

    def _certificate(self, error: Exception) -> str:
        return (
            f"Source {self.name} does not trust the certificate of {self.host} ({_shortly(error)}); "
            "correct the url, renew the certificate, or name your own authority in REQUESTS_CA_BUNDLE."
        )


def _new_session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = f"matokit/{__version__}"
    session.headers["Accept-Encoding"] = "gzip"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = _no_other_log_in
    return session


def _no_other_log_in(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps a ~/.netrc from taking the place of our Authorization header."""
    return request


def _place(location: str | None) -> str:
    """Where a redirect leads: host and path only, since log-ins and queries hold what is nobody's business."""
    try:
        parts = urlsplit(location or "")
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "another address"
    place = f"{parts.scheme + ':' if parts.scheme and host else ''}{'//' + host if host else ''}{parts.path}"
    return place[:LONGEST_PLACE] or "another address"


def _without_log_in(url: str) -> str:
    return re.sub(r"//[^/]*@", "//", url)


def _why_no_connection(error: Exception) -> str:
    said = str(error)
    if "NameResolution" in said or "Failed to resolve" in said:
        return "there is no such host, or the name service is down (check the url)"
    if "refused" in said:
        return "nothing listens there (check the url and port)"
    return "the connection was lost"


def _shortly(error: Exception) -> str:
    said = str(error)
    start = said.rfind("certificate verify failed")
    return said[start:].split("(_ssl")[0].strip(" :'\")") if start >= 0 else type(error).__name__
