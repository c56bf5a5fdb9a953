"""HTTP as uvicorn speaks it, with bounds that keep no client from holding a place, memory or a file for long.

Bounded are the time of a head, of a body, of a pause between requests and of an answer that nobody reads; the size of a
head; the requests sent ahead on one connection; the connections. What does not reach the application is answered in
the shape of its errors. Not here: listening (listening.py), the application (app.py).
"""

from __future__ import annotations

import asyncio
import math
import weakref
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from matokit_pipelines.toolserver.gate import PROBES
from matokit_pipelines.toolserver.opal import problem_bytes
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.wire import BODY_SECONDS, CLOSE, JSON, SECURITY, Receive, Scope, Send, answer

HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15
UNREAD_SECONDS = 30.0  # of an answer of which the client takes nothing any more
GRACE_SECONDS = 5.0  # what the application or uvicorn ends by itself is left to them for so long
REFUSED_SECONDS = 2.0
LOOK_SECONDS = 1.0
HEAD_BYTES = 65_536
BODY_BYTES = 33_554_432  # twice what the settings allow; the application refuses much less
SENT_AHEAD = 32
PLACES = 2_000
SPARE = 100  # connections beyond that are answered "busy"; further ones are cut

_BUSY = Problem("rate-limit", "This server holds as many connections as it may.", status=503, retry_after=1.0)
_TOO_LONG = Problem("client", f"The request's head is longer than {HEAD_BYTES:,} bytes.", "Send fewer headers.")
_NOT_HTTP = Problem("client", "This is not a valid HTTP request.", "Send HTTP/1.1, each header on a line of its own.")
_AHEAD = Problem(
    "client", "Too many requests were sent ahead on this connection.", f"Send {SENT_AHEAD} ahead of answers at most."
)
_swept: weakref.WeakSet[Any] = weakref.WeakSet()


class _Moment:
    """The loop's time as of the last look: looking at the clock at each step of each request would cost more."""

    now = 0.0


_moment = _Moment()


class PatientProtocol(HttpToolsProtocol):
    """One connection. `places`: connections of one server that are served at once."""

    places = PLACES
    _due = math.inf
    _head: int | None = None
    _piece = 0
    _body = 0
    _why = (b"400 Bad Request", _NOT_HTTP)
    _refusal: bytes | None = None  # to be sent behind the answers under way
    _reads = ""  # "head", "body", "nothing more"; empty: it is our turn, or there is no request
    _waiting = 0
    _stuck = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _sweep(self.server_state, self.loop)
        self._due = _moment.now + HEAD_SECONDS
        if len(self.connections) > self.places:
            self.app = _busy(self.app)
            if len(self.connections) > self.places + SPARE:
                transport.abort()

    # -- what a client may send ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._reads != "nothing more":
            self._piece = len(data)
            super().data_received(data)
        if not self._reads or self.transport.is_closing():
            return
        if self._reads != "head":
            self._body += len(data)
            if self._body > BODY_BYTES:
                self.transport.abort()
            return
        # the first piece may hold other requests too: it counts once the head is whole
        self._head = 0 if self._head is None else self._head + len(data)
        if self._head > HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", _TOO_LONG)

    def on_message_begin(self) -> None:
        self._reads, self._head, self._body = "head", None, 0
        self._due = _moment.now + HEAD_SECONDS
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= SENT_AHEAD:
            self._why = (b"400 Bad Request", _AHEAD)
            raise ValueError("too many requests were sent ahead")  # the parser stops, and the connection ends
        if (self._head is not None or self._piece > HEAD_BYTES) and self._head_bytes() > HEAD_BYTES:
            self._why = (b"431 Request Header Fields Too Large", _TOO_LONG)
            raise ValueError("the head is too long")
        self._reads = "body"
        self._due = _moment.now + BODY_SECONDS + GRACE_SECONDS
        super().on_headers_complete()
        self.headers = []  # a trailer behind a body is no header, and must not become one

    def on_message_complete(self) -> None:
        self._reads = ""
        self._due = self._idle() if self.cycle.response_complete else math.inf
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(*self._why)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, status: bytes, problem: Problem) -> None:
        """Answer what is no request to the application, behind the answers to what was asked before it."""
        body = problem_bytes(problem)
        length = (b"content-length", str(len(body)).encode())
        lines = [name + b": " + value for name, value in (JSON, length, CLOSE, *SECURITY)]
        self._refusal = b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", body])
        is_body = self._reads == "body"  # then its head is with the application already
        # what still comes is taken and dropped: closing upon it would reset the connection before the answer is read
        self._reads = "nothing more"
        self._due = math.inf
        if is_body and self.pipeline:
            self.pipeline.popleft()  # the newest: it waits for its turn, and has none any more
        elif is_body:
            if self.cycle.response_started:
                self._refusal = b""  # one request has one answer
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._end()
        elif self.cycle is None or self.cycle.response_complete:
            self._end()

    def _end(self) -> None:
        if self._refusal is None or self.transport.is_closing():
            return
        if self._refusal:
            self.transport.write(self._refusal)
        self._due = _moment.now + REFUSED_SECONDS
        self.transport.write_eof()

    # -- how long it may take -----------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        if not self._reads:
            self._due = math.inf if self.pipeline else self._idle()
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last:
            self._end()

    def _idle(self) -> float:
        return _moment.now + KEEP_ALIVE_SECONDS + GRACE_SECONDS

    def look(self, now: float) -> None:
        """End the connection when its client keeps us waiting."""
        waiting = self.transport.get_write_buffer_size()
        if waiting != self._waiting:
            self._waiting, self._stuck = waiting, now + UNREAD_SECONDS
        elif waiting and now > self._stuck:
            self.transport.abort()  # a plain close would wait for the reader
        elif not waiting and now > self._due:
            self.transport.close()


def _sweep(state: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Look at a server's connections every second as long as there are any: one timer for all of them."""
    if state in _swept:
        return
    _swept.add(state)
    _moment.now = loop.time()

    def look() -> None:
        now = _moment.now = loop.time()
        for one in tuple(state.connections):
            if isinstance(one, PatientProtocol):
                one.look(now)
        if state.connections:
            loop.call_later(LOOK_SECONDS, look)
        else:
            _swept.discard(state)

    loop.call_later(LOOK_SECONDS, look)


def _busy(app: Any) -> Any:
    """The application for whom there is no place: probes are answered, others are asked to come again."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await app(scope, receive, send)
            return
        headers = (JSON, (b"retry-after", b"1"), CLOSE)
        await answer(send, _BUSY.status, problem_bytes(_BUSY), headers)

    return answered
