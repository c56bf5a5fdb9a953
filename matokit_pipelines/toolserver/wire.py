"""Requests and answers as bytes: a body read within bounds, an answer with the headers every answer has.

Not here: what is asked and answered (app.py).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from matokit_pipelines.toolserver.problems import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

BODY_SECONDS = 10.0
JSON = (b"content-type", b"application/json")
CLOSE: Header = (b"connection", b"close")
SECURITY: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")


class ClientGone(Exception):
    """The client hung up; nobody is there to be answered."""


def request_id(scope: Scope) -> bytes:
    """The id the caller gave, when it is a plain one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.match(value):
            return bytes(value)
    return os.urandom(8).hex().encode()


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """The first header of that name, in lower case."""
    return next((value for name, value in scope["headers"] if name == wanted), None)


async def body_of(scope: Scope, receive: Receive, most: int, seconds: float = BODY_SECONDS) -> bytes:
    """The whole body. Problem 413 when it is longer than `most` bytes, 408 when it takes too long to come."""
    told = header(scope, b"content-length")
    if told is not None and (not told.isdigit() or int(told) > most):
        raise too_large(most)
    try:
        async with asyncio.timeout(seconds):
            parts, length = list[bytes](), 0
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part: bytes = message.get("body", b"")
                parts.append(part)
                length += len(part)
                if length > most:
                    raise too_large(most)
                if not message.get("more_body"):
                    return part if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        raise Problem(
            "client", f"The body did not come within {seconds:.0f} s.", "Send it at once.", status=408
        ) from None


def too_large(most: int) -> Problem:
    return Problem(
        "client", f"The body is longer than {most:,} bytes.", "Send only the tool's own parameters.", status=413
    )


async def answer(send: Send, status: int, body: bytes, headers: Sequence[Header] = (JSON,)) -> None:
    """One whole answer with the security headers. `headers` name at least the content type."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", str(len(body)).encode()), *headers, *SECURITY],
        }
    )
    await send({"type": "http.response.body", "body": body})
