"""A server on loopback that answers as a test tells it, headers and all, and remembers what it was asked.

Not here: recorded visits (replay.py), a whole simulated service (matokit_pipelines/simulator/).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "0123456789abcdef0123456789abcdef"
REFUSED_TOKEN = {
    "result": "error",
    "message": "Unable to authenticate with the provided token. It is either invalid or expired.",
}


@dataclass(frozen=True)
class Reply:
    """One answer. `body`: JSON data, or bytes sent as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/json; charset=utf-8"

    @property
    def sent(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answering = Callable[[str, dict[str, str]], Reply]


@dataclass
class Upstream:
    """`answer(method, parameters)` makes each answer; `asked` holds methods in order, `tokens` what came as token."""

    answer: Answering
    url: str = ""
    asked: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[Upstream]:
        """Listen while the block runs."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)


def matomo(
    sites: tuple[int, ...] = (1,), token: str = TOKEN, version: str = "5.2.0", name: str = "Example shop"
) -> Answering:
    """A Matomo as far as access goes: one token that may view some sites."""

    def answer(method: str, params: dict[str, str]) -> Reply:
        if params.get("token_auth") != token:
            return Reply(REFUSED_TOKEN, 401)
        if method == "SitesManager.getSitesIdWithAtLeastViewAccess":
            return Reply(list(sites))
        if method == "API.getMatomoVersion":
            no_access = "You must have view access for at least one website."
            return Reply({"value": version}) if sites else Reply({"result": "error", "message": no_access}, 401)
        if method == "API.getBulkRequest":
            parts = [dict(parse_qsl(params[f"urls[{number}]"])) for number in range(_urls(params))]
            return Reply([answer(part.pop("method"), {**part, "token_auth": token}).body for part in parts])
        site = params.get("idSite", "")
        if site not in {str(one) for one in sites}:
            needs = f"You can't access this resource as it requires 'view' access for the website id = {site}."
            return Reply({"result": "error", "message": needs}, 401)
        if method == "SitesManager.getSiteFromId":
            return Reply({"idsite": int(site), "name": name, "timezone": "Europe/Copenhagen", "ecommerce": 1})
        figures = {"VisitsSummary.get": {"nb_visits": 7}, "Actions.get": {"nb_pageviews": 12}}
        if method in figures:
            return Reply(figures[method])
        return Reply({"result": "error", "message": f"The method '{method}' does not exist."}, 400)

    return answer


def _urls(params: Mapping[str, str]) -> int:
    return sum(name.startswith("urls[") for name in params)


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            params |= dict(parse_qsl(body, keep_blank_values=True))
            method = params.pop("method", self.path)
            upstream.asked.append(method)
            upstream.addresses.append(self.path)
            upstream.tokens.append(params.get("token_auth", ""))
            self._send(upstream.answer(method, params))

        def do_GET(self) -> None:
            upstream.asked.append(self.path)
            self._send(upstream.answer(self.path, {"authorization": self.headers.get("Authorization") or ""}))

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.sent)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.sent)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """`asked` is the record."""

    return Handler
