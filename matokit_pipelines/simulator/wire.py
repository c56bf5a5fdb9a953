"""HTTP on this machine for all simulated services: requests in, answers out, and the faults of a wire.

Belongs here: sockets, threads, what a request and an answer consist of. Does not belong here: any service.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

REMEMBERED = 1_000


@dataclass(frozen=True)
class Request:
    """One HTTP request. query and form are decoded; body is raw; names of headers are in lower case."""

    http: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "127.0.0.1"
    user_agent: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, str]:
        """Query and form in one; the form wins."""
        return self.query | self.form


@dataclass(frozen=True)
class Answer:
    """Status, content type, body and further headers."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """What was asked: number of requests by name, and (name, parameters without secrets) of the last 1,000."""

    counts: Counter[str] = field(default_factory=Counter)
    recent: deque[tuple[str, dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def total(self) -> int:
        """All requests so far."""
        return self.counts.total()


class Service(Protocol):
    """What stands behind a listener."""

    @property
    def slow_seconds(self) -> float:
        """How long a slow answer takes."""

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        """The answer to a request, and the fault of the wire it meets (dropped, half, slow) or None."""


class Listener:
    """Serves a service on a port of 127.0.0.1 (0: any free one) in threads of this process until `stop`."""

    def __init__(self, service: Service, port: int) -> None:
        self._server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"service": service}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


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
    service: Service

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, http: str) -> None:
        answer, fault = self.service.answer(self._request(http))
        if fault == "slow":
            time.sleep(self.service.slow_seconds)
        if fault == "dropped":
            self.close_connection = True
            return
        with suppress(ConnectionError):
            self._send(answer, half=fault == "half")

    def _request(self, http: str) -> Request:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_form = "urlencoded" in headers.get("content-type", "")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if is_form else {}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        agent = headers.get("user-agent", "")
        return Request(http, parts.path, query, form, body, self.client_address[0], agent, headers)

    def _send(self, answer: Answer, half: bool) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
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
        """Nothing: `requests` of a simulator is the record."""
