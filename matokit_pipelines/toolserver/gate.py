"""Who may come in: everything is closed but a short list of exact paths; hosts and origins are checked first.

A path that is spelt another way is another path, and closed. Not here: tokens (tokens.py), the log-in of the pages
(pages/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.clock import Clock
from matokit_pipelines.toolserver.tokens import Tokens

OPEN = frozenset({"/discovery", "/healthz", "/readyz", "/health", "/login", "/logout"})
PROBES = frozenset({"/healthz", "/readyz", "/health"})  # asked by the address of a container, whatever its name
REALM = "matokit"
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Admitted:
    """Who asks: the name of a token, "" on an open path."""

    caller: str


@dataclass(frozen=True)
class Turned:
    """Turned away. token_sent: a token came, and is none of ours. retry_after: seconds."""

    status: int
    message: str
    token_sent: bool = False
    retry_after: float | None = None


class Gate:
    """Admits or turns away a request, by its scope."""

    def __init__(
        self, tokens: Tokens, clock: Clock, *, hosts: Iterable[str], origins: Iterable[str], calls_per_minute: int
    ) -> None:
        self._tokens = tokens
        self._hosts = tuple(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower() for origin in origins)
        self._pace = _Pace(calls_per_minute, clock)
        self._good_hosts: set[bytes] = set()

    def admit(self, scope: Mapping[str, Any]) -> Admitted | Turned:
        """Whether a request may come in by its host, origin and bearer token."""
        path: str = scope["path"]
        host = authorization = origin = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                if authorization:
                    return Turned(400, "Two Authorization headers")
                authorization = value
            elif name == b"host":
                if host:
                    return Turned(400, "Two Host headers")
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                return Turned(501, "Transfer-Encoding other than chunked")
        if path not in PROBES and host not in self._good_hosts and not self._is_our_host(host):
            return Turned(421, "Invalid Host header")
        if origin and not self._is_good_origin(origin, host):
            return Turned(403, "Invalid Origin header")
        if path in OPEN:
            return Admitted("")
        token = bearer(authorization)
        caller = self._tokens.caller(token) if token else None
        if caller is None:
            return Turned(401, "Unauthorized", token_sent=bool(authorization))
        wait = self._pace.wait(caller)
        if wait > 0:
            return Turned(429, f"More than {self._pace.a_minute} calls a minute", retry_after=wait)
        return Admitted(caller)

    def _is_our_host(self, host: bytes) -> bool:
        name = host.decode("latin-1").lower()
        bare = name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else name
        good = any(
            known in (name, bare, "*")
            or (known.startswith("*.") and bare.endswith(known[1:]))
            or (known.endswith(":*") and known[:-2] == bare)
            for known in self._hosts
        )
        if good and len(self._good_hosts) < 1_000:
            self._good_hosts.add(host)
        return good

    def _is_good_origin(self, origin: bytes, host: bytes) -> bool:
        """Listed, or our own pages: the same host that is asked."""
        text = origin.decode("latin-1").lower()
        return text in self._origins or text.partition("://")[2] == host.decode("latin-1").lower()


def bearer(authorization: bytes) -> bytes | None:
    """The token of an Authorization header, the scheme in any case (RFC 7235); None for another scheme."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


class _Pace:
    """Calls a minute of each caller: a bucket that fills again as time passes."""

    def __init__(self, a_minute: int, clock: Clock) -> None:
        self.a_minute = a_minute
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str) -> float:
        """Seconds to wait before the next call; 0: go on, and it is counted."""
        if not self.a_minute:
            return 0.0
        now = self._clock.now().timestamp()
        left, since = self._left.get(caller, (float(self.a_minute), now))
        left = min(float(self.a_minute), left + max(0.0, now - since) * self.a_minute / 60)
        if left < 1:
            self._left[caller] = (left, now)
            return (1 - left) * 60 / self.a_minute
        self._left[caller] = (left - 1, now)
        return 0.0
