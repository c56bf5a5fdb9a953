"""Web pages elsewhere: the headers by which a browser lets the listed origins call and read, with a token, no cookie.

Not here: turning other origins away (gate.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from matokit_pipelines.toolserver.wire import SECURITY, Header, Message, Scope, Send, header

_ASKED = b"access-control-request-method"
_PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, mcp-protocol-version, mcp-method, mcp-name, x-request-id",
    ),
    (b"access-control-max-age", b"600"),
)
_SHARED: tuple[Header, ...] = ((b"access-control-expose-headers", b"x-as-of, x-request-id"), (b"vary", b"Origin"))


class CrossOrigin:
    """Which origins may read what is answered to them."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.lower().encode() for origin in origins)

    def origin(self, scope: Scope) -> bytes | None:
        """The listed origin that asks; None for every other request."""
        if not self._origins:
            return None
        origin = header(scope, b"origin")
        return origin if origin is not None and origin.lower() in self._origins else None


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks if it may call, before it does."""
    return scope["method"] == "OPTIONS" and header(scope, _ASKED) is not None


def shared(origin: bytes, send: Send) -> Send:
    """`send`, with the headers that let the page of this origin read the answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            further = ((b"access-control-allow-origin", origin), *_SHARED)
            message["headers"] = [*message.get("headers", []), *further]
        await send(message)

    return sending


async def answer_preflight(send: Send, request: bytes) -> int:
    """Yes: for every path alike, so that it tells nothing of them."""
    headers = [(b"x-request-id", request), *_PREFLIGHT, *SECURITY]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
    return 204
