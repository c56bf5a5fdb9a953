"""A simulated Slack that speaks the real HTTP API: put together and served. For the demo, a trial, and tests.

Belongs here: the order of work on a request, records of what was asked. Does not belong here: each method's answer
(slack_methods.py), the socket (wire.py).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from matokit_pipelines.simulator.slack_checks import SlackRefusal
from matokit_pipelines.simulator.slack_faults import Fault, SlackDice, SlackFaults
from matokit_pipelines.simulator.slack_methods import METHODS, Call, uploaded, webhook
from matokit_pipelines.simulator.slack_store import Channel, Posted, SlackStore
from matokit_pipelines.simulator.wire import Answer, Asked, Listener, Request

BOT_TOKEN = "xoxb-simulated-0000000000"  # noqa: S105 - opens nothing
WEBHOOK_PATH = "/services/T00000000/B00000000/simulated"
ALERTS = Channel("C0ALERTS00", "alerts")
ALL_SCOPES = frozenset({"chat:write", "files:write", "channels:history", "channels:read", "groups:read"})
_WIRE = {"dropped_before": "dropped", "dropped_after": "dropped", "slow": "slow"}


class SlackSimulator:
    """A workspace on 127.0.0.1, in threads of this process. Use it in a `with` statement or call stop().

    api_url is what slack.api_url is set to; token opens it; webhook_url posts into the first channel. scopes: what
    the token may do, everything when None. now: the clock (aware) of its timestamps. on_request is called before each
    call with its number (from 1) and method. Records: `messages` in the order in which they were accepted, `files` by
    id with their bytes, `requests`, `struck`.
    """

    def __init__(
        self,
        *,
        channels: Iterable[Channel] = (ALERTS,),
        token: str = BOT_TOKEN,
        scopes: frozenset[str] | None = None,
        faults: SlackFaults | None = None,
        now: Callable[[], datetime] | None = None,
        port: int = 0,
        on_request: Callable[[int, str], None] | None = None,
    ) -> None:
        self.token, self.scopes = token, scopes
        self.on_request = on_request
        self.requests = Asked()
        self._now = now or (lambda: datetime.now(UTC))
        self.store = SlackStore(channels, self._now)
        self.dice = SlackDice(faults or SlackFaults())
        self._limited: dict[str, datetime] = {}
        self._turn = threading.Lock()
        self._listener: Listener | None = Listener(self, port)
        self._base = self._listener.url
        self.api_url = f"{self._base}/api/"
        self.webhook_url = self._base + WEBHOOK_PATH

    @property
    def messages(self) -> list[Posted]:
        """Everything that was accepted."""
        return list(self.store.messages)

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Files by id: name, title, content, and where they were shared."""
        return self.store.files

    @property
    def slow_seconds(self) -> float:
        """How long a slow answer takes."""
        return self.dice.faults.slow_seconds

    def put_up(self, fault: Fault, method: str | None = None) -> None:
        """The next call (of a method such as `chat.postMessage`, or `webhook`, `upload`) meets this fault."""
        with self._turn:
            self.dice.put_up(fault, method)

    def change(self, faults: SlackFaults) -> None:
        """Other faults from now on."""
        with self._turn:
            self.dice.faults = faults

    def down(self) -> None:
        """Gone: nothing listens any more. What was kept stays."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    def up(self) -> None:
        """Back, at the same address."""
        if self._listener is None:
            self._listener = Listener(self, int(self._base.rpartition(":")[2]))

    # -- a request ------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        """The answer to a request, and the fault of the wire it meets (dropped, slow) or None."""
        method = _method(request.path)
        with self._turn:
            self.requests.counts[method] += 1
            self.requests.recent.append((method, {"channel": _arguments(request).get("channel")}))
            number = self.requests.total
        if self.on_request is not None:
            self.on_request(number, method)
        with self._turn:
            fault = self.dice.fault(method)
            until = self._limited.get(method)
            if fault == "limited":
                until = self._now() + timedelta(seconds=self.dice.faults.retry_after)
                self._limited[method] = until
            if until is not None and until > self._now():
                left = (until - self._now()).total_seconds()
                return _json(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(int(left) + 1)}), None
            if fault == "error":
                return _json(500, {"ok": False, "error": "internal_error"}), None
            if fault == "html":
                return Answer(200, "text/html", b"<html><body>This page is shown instead.</body></html>"), None
            if fault == "dropped_before":
                return Answer(200, "text/plain", b""), "dropped"
            answer = self._carried_out(method, request)
            if fault == "error_after":
                answer = _json(500, {"ok": False, "error": "fatal_error"})
            return answer, _WIRE.get(fault or "")

    def _carried_out(self, method: str, request: Request) -> Answer:
        if method == "webhook":
            status, word = webhook(self.store, request.path == WEBHOOK_PATH, request.body)
            return Answer(status, "text/plain", word.encode())
        if method == "upload":
            return uploaded(self.store, request.path.rpartition("/")[2], request)
        try:
            call = Call(self.store, _arguments(request), self._base, self.scopes)
            answered = self._answered(method, request, call)
            return _json(200, {"ok": True, **answered}, {"X-OAuth-Scopes": ",".join(sorted(self._granted))})
        except SlackRefusal as refusal:
            told: dict[str, Any] = {"ok": False, "error": refusal.word}
            if refusal.messages:
                told |= {"errors": list(refusal.messages), "response_metadata": {"messages": list(refusal.messages)}}
            return _json(200, told)

    @property
    def _granted(self) -> frozenset[str]:
        """What the token may do, as each answer to a call that it opened says."""
        return ALL_SCOPES if self.scopes is None else self.scopes

    def _answered(self, method: str, request: Request, call: Call) -> dict[str, Any]:
        given = request.headers.get("authorization", "").removeprefix("Bearer ") or call.arguments.get("token")
        if not given:
            raise SlackRefusal("not_authed")
        if given != self.token:
            raise SlackRefusal("invalid_auth")
        if method not in METHODS:
            raise SlackRefusal("unknown_method")
        return METHODS[method](call)

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self.down()

    def __enter__(self) -> SlackSimulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _method(path: str) -> str:
    if path.startswith("/services/"):
        return "webhook"
    return "upload" if path.startswith("/upload/") else path.rpartition("/")[2]


def _arguments(request: Request) -> dict[str, Any]:
    """The arguments of a call: form and query, or a JSON body."""
    found: dict[str, Any] = dict(request.params)
    if "json" in request.headers.get("content-type", ""):
        try:
            body = json.loads(request.body or b"{}")
        except ValueError:
            return found
        found |= body if isinstance(body, dict) else {}
    return found


def _json(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, "application/json; charset=utf-8", json.dumps(body).encode(), headers or {})
