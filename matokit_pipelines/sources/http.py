"""One HTTP session a source: time-outs, bounded retries with jitter, one time budget, nothing secret in what it says.

Answers come back whole, as bytes; what they mean is the caller's business, also which of them are worth another try.
Not here: paging, parsing, credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import requests
import tenacity
from requests import exceptions as failures

from matokit_pipelines import __version__
from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import MatokitError, PageTooLarge, SourceError, SourceUnavailable

CHUNK_BYTES = 1 << 16
TRANSIENT_STATUS = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class HttpLimits:
    """How patient to be. Seconds, but for `attempts`. `budget` is for everything one session does."""

    connect_timeout: float = 10.0
    read_timeout: float = 90.0
    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 30.0
    budget: float = 3600.0


@dataclass(frozen=True)
class Answer:
    """A whole answer. `kind` is the media type without parameters, in lower case."""

    status: int
    kind: str
    body: bytes
    location: str = ""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")


class _TryAgain(Exception):
    """Carries the error to raise when no try is left."""

    def __init__(self, error: MatokitError) -> None:
        super().__init__(str(error))
        self.error = error


class HttpSession:
    """A `requests` session for one source. `requests_made` counts what went over the wire."""

    def __init__(self, name: str, base_url: str, clock: Clock, limits: HttpLimits | None = None) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.host = urlsplit(self.base_url).netloc
        self.requests_made = 0
        self._clock = clock
        self._limits = limits or HttpLimits()
        self._deadline = clock.now() + timedelta(seconds=self._limits.budget)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"matokit/{__version__}"

    def post(
        self,
        path: str,
        params: Mapping[str, str],
        form: Mapping[str, str],
        passing: Callable[[Answer], str | None],
    ) -> Answer:
        """The answer to one POST, tried again while the failure is one that passes.

        `passing` says why an answer is worth another try (in words that end "it ..."), or None. Raises
        SourceUnavailable when no try or time is left, PageTooLarge when the server did not answer in time,
        SourceError when the connection itself cannot be right (certificate, redirect).
        """
        limits = self._limits
        retrying = tenacity.Retrying(
            sleep=self._clock.sleep,
            stop=tenacity.stop_after_attempt(limits.attempts),
            wait=tenacity.wait_random_exponential(multiplier=limits.first_wait, max=limits.longest_wait),
            retry=tenacity.retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        try:
            return retrying(self._post_once, path, params, form, passing)
        except _TryAgain as error:
            raise error.error from error

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _post_once(
        self,
        path: str,
        params: Mapping[str, str],
        form: Mapping[str, str],
        passing: Callable[[Answer], str | None],
    ) -> Answer:
        limits = self._limits
        left = self._seconds_left()
        timeout = (min(limits.connect_timeout, left), min(limits.read_timeout, left))
        self.requests_made += 1
        try:
            with self._session.post(
                f"{self.base_url}/{path}",
                params=dict(params),
                data=dict(form),
                timeout=timeout,
                allow_redirects=False,  # a redirected POST becomes a GET and loses the token
                stream=True,
            ) as response:
                answer = self._read(response)
        except failures.SSLError as error:
            raise SourceError(self._certificate(error)) from error
        except (failures.ConnectTimeout, failures.ReadTimeout) as error:
            raise self._timed_out(error) from error
        except (failures.ChunkedEncodingError, failures.ContentDecodingError) as error:
            raise _TryAgain(self._unavailable("it broke off in the middle of an answer")) from error
        except failures.ConnectionError as error:
            if "Read timed out" in str(error):
                raise self._timed_out(error) from error
            raise _TryAgain(self._unavailable(_why_no_connection(error))) from error
        except ValueError as error:  # InvalidURL and its kin, and what lies below requests says of impossible names
            raise SourceError(
                f'"{self.base_url}" is not a web address; correct the url of source {self.name}.'
            ) from error
        except OSError as error:  # what requests says when the file of REQUESTS_CA_BUNDLE is not there
            if "CA certificate bundle" not in str(error):
                raise
            raise SourceError(
                f"Source {self.name} cannot check the certificate of {self.host}: REQUESTS_CA_BUNDLE names a file that "
                "is not there; correct it."
            ) from error
        if 300 <= answer.status < 400:
            raise SourceError(
                f"{self.host} sends source {self.name} on to {answer.location or 'another address'}; "
                "put that address into the source's url."
            )
        if answer.status in TRANSIENT_STATUS:
            raise _TryAgain(self._unavailable(f"it answered {answer.status}"))
        if reason := passing(answer):
            raise _TryAgain(self._unavailable(reason))
        return answer

    def _read(self, response: requests.Response) -> Answer:
        parts = []
        for part in response.iter_content(CHUNK_BYTES):
            self._seconds_left()
            parts.append(part)
        kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        return Answer(response.status_code, kind, b"".join(parts), response.headers.get("Location", ""))

    def _seconds_left(self) -> float:
        left = (self._deadline - self._clock.now()).total_seconds()
        if left <= 0:
            raise SourceUnavailable(
                f"Source {self.name} used up its time ({self._limits.budget:.0f} s); what was read so far is kept, "
                "run the same command again to go on."
            )
        return left

    def _unavailable(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"Source {self.name} could not be read from {self.host}: {why}, {self._limits.attempts} times in a row; "
            "nothing is lost, the next pass goes on from here."
        )

    def _timed_out(self, error: Exception) -> Exception:
        if isinstance(error, failures.ConnectTimeout):
            return _TryAgain(self._unavailable("it could not be reached in time"))
        return PageTooLarge(
            f"Source {self.name} got no answer from {self.host} within {self._limits.read_timeout:.0f} s; "
            "try again later, or raise http.read_timeout."
        )

    def _certificate(self, error: Exception) -> str:
        return (
            f"Source {self.name} does not trust the certificate of {self.host} ({_shortly(error)}); "
            "correct the url, renew the certificate, or name your own authority in REQUESTS_CA_BUNDLE."
        )


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
