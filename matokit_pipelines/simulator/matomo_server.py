"""The simulated Matomo on a socket of this machine.

Belongs here: the HTTP server, faults of the wire, records of what was asked. Does not belong here: any answer.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

import polars as pl

from matokit_pipelines.simulator.faults import Dice, Faults
from matokit_pipelines.simulator.matomo_access import Access, Tokens
from matokit_pipelines.simulator.matomo_answers import (
    Answer,
    MatomoError,
    Request,
    error_answer,
    maintenance,
    page,
)
from matokit_pipelines.simulator.matomo_api import MatomoApi
from matokit_pipelines.simulator.matomo_live import Site
from matokit_pipelines.simulator.matomo_log import MatomoLog, arrivals
from matokit_pipelines.simulator.matomo_tracking import MatomoTracking
from matokit_pipelines.simulator.truth import Truth

VIEW_TOKEN = "5e1ec7ab1e" + "0" * 22
REMEMBERED = 1_000


@dataclass
class Asked:
    """What was asked: number of API requests by method, and (method, parameters without token) of the last 1,000."""

    counts: Counter[str] = field(default_factory=Counter)
    recent: deque[tuple[str, dict[str, str]]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def total(self) -> int:
        """All API requests so far."""
        return self.counts.total()


class MatomoSimulator:
    """A Matomo with one site, on 127.0.0.1, in threads of this process. Use it in a `with` statement or call stop().

    truth_or_log: a Truth, or a frame with its sent columns (event_ts to url). zone: the site's time zone, the
    truth's by default. token: a token that may view the site. now: the clock (aware); only what has been sent by
    then exists, and it must not run backwards. on_request is called before every API request with its number
    (from 1) and method. url has no slash at its end. token_post_only: see `matomo_access.Tokens`.
    no_access_token and superuser_token are further valid tokens.
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
        late = (faults.late_share, faults.late_seconds, faults.seed)
        self.log = MatomoLog(arrivals(events, place, late), place)
        self.log.advance(int(now().timestamp()))
        tokens = Tokens(self.token, self.no_access_token, self.superuser_token, token_post_only)
        first = events["event_ts"].min()
        created = first if isinstance(first, datetime) else now()
        self._api = MatomoApi(
            site=Site(site_id, "Installer scripts", "DKK", "kr"),
            log=self.log,
            access=Access(tokens, self._dice),
            dice=self._dice,
            version=version,
            created=f"{created:%Y-%m-%d} 00:00:00",
        )
        self._tracking = MatomoTracking(site_id, self.log, tokens, self._dice, version)
        self._server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"simulator": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def struck(self) -> Counter[str]:
        """How often each fault has struck, by name."""
        return self._dice.struck

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
            if not api:
                return self._tracking.answer(request, now), None
            fault = self._dice.transient()
            instead = _instead(fault, request)
            return (instead, None) if instead else (self._api.answer(request, now), fault)

    @property
    def slow_seconds(self) -> float:
        """How long a slow answer takes."""
        return self._dice.faults.slow_seconds

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle of an answer is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave together; waiting for the reader's acknowledgement between them would cost 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    simulator: MatomoSimulator

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, http: str) -> None:
        answer, fault = self.simulator.answer(self._request(http))
        if fault == "slow":
            time.sleep(self.simulator.slow_seconds)
        if fault == "dropped":
            self.close_connection = True
            return
        with suppress(ConnectionError):
            self._send(answer, half=fault == "half")

    def _request(self, http: str) -> Request:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_form = "urlencoded" in self.headers.get("Content-Type", "")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if is_form else {}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        agent = self.headers.get("User-Agent", "")
        return Request(http, parts.path, query, form, body, self.client_address[0], agent)

    def _send(self, answer: Answer, half: bool) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if half:
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self.close_connection = True
        elif answer.status != 204:
            self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: `requests` of the simulator is the record."""
