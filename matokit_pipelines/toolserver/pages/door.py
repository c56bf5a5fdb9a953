"""Who may see the pages: a bearer token, or a cookie that the log-in page gave for one. Reading only, nothing else.

The cookie is the name of a token and the moment it ends, signed with that token: a renewed token ends it, a stolen
cookie opens no tool. Not here: what is shown (routes.py), tokens (tokens.py).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import parse_qs, quote

from matokit_pipelines.clock import Clock
from matokit_pipelines.toolserver.gate import Turned, bearer
from matokit_pipelines.toolserver.tokens import Tokens
from matokit_pipelines.toolserver.wire import Scope, header

COOKIE = "matokit_pages"
HOST_ONLY = "__Host-"  # before the name where https is sure: a browser takes it from this very host only
LASTS = timedelta(days=14)
START = "/"
LOG_IN = "/login"
_PAGES = frozenset({START, "/index.html", "/index.json", "/docs", "/alerts", "/runbook"})
_FOLDERS = ("/reports/", "/dashboards/", "/alerts/")


def is_page(path: str) -> bool:
    """Whether the path is one of a page: what a cookie may open."""
    return path in _PAGES or path.startswith(_FOLDERS)


class Door:
    """Opens the pages. `is_secure`: the cookie travels over https only."""

    def __init__(self, tokens: Tokens, clock: Clock, *, is_secure: bool) -> None:
        self._tokens = tokens
        self._clock = clock
        self._is_secure = is_secure
        self._cookie = f"{HOST_ONLY if is_secure else ''}{COOKIE}"

    def caller(self, scope: Scope, verdict: Turned) -> str | None:
        """The name of who may read this page although the gate wants a token; None for everyone else."""
        if verdict.status != 401 or scope["method"] not in ("GET", "HEAD") or not is_page(scope["path"]):
            return None
        token = bearer(header(scope, b"authorization") or b"")
        if token:
            return self._tokens.caller(token, pages=True)
        return next(filter(None, (self._signed_by(value) for value in _cookies(scope, self._cookie))), None)

    def log_in_first(self, scope: Scope) -> bytes | None:
        """Where to send a person without a cookie who asks for a page, as seen from it; None for a program.

        A browser takes the fragment of the address along, so that a link to one widget leads to it in the end.
        """
        wants_page = b"text/html" in (header(scope, b"accept") or b"")
        if scope["method"] != "GET" or not wants_page or not is_page(scope["path"]):
            return None
        query = scope["query_string"].decode("latin-1")
        wanted = quote(scope["path"], safe="/") + (f"?{query}" if query else "")
        return f"{root_of(scope['path'])}login?next={quote(wanted, safe='')}".encode()

    def cookie_for(self, token: str) -> str | None:
        """The Set-Cookie line for a token that opens the pages; None for another."""
        caller = self._tokens.caller(token.encode("utf-8", "replace"), pages=True)
        if caller is None:
            return None
        ends = str(int((self._clock.now() + LASTS).timestamp()))
        signature = self._tokens.signed(f"{caller}.{ends}")[caller].hex()
        return self._line(f"{caller}.{ends}.{signature}", int(LASTS.total_seconds()))

    def log_out(self) -> str:
        """The Set-Cookie line that ends it in this browser."""
        return self._line("", 0)

    def _line(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._is_secure else ""
        return f"{self._cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    def _signed_by(self, value: str) -> str | None:
        """Whose cookie it is: every signature is compared, in constant time."""
        text, _, signature = value.rpartition(".")
        name, _, ends = text.rpartition(".")
        if not ends.isascii() or not ends.isdigit() or len(ends) > 12 or int(ends) < self._clock.now().timestamp():
            return None
        found = None
        for known, right in self._tokens.signed(text).items():
            if hmac.compare_digest(right.hex().encode(), signature.encode("utf-8", "replace")) and known == name:
                found = known
        return found


def root_of(path: str) -> str:
    """The way from a page to the start of all pages: `../../`, "" from the start itself.

    Addresses are relative, so that a proxy may serve the pages below a folder of its own.
    """
    return "../" * (path.count("/") - 1)


def _cookies(scope: Scope, wanted: str) -> Iterable[str]:
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                if key == wanted:
                    yield text


def local(path: str) -> str:
    """The page to show after the log-in: one of ours, whatever was asked."""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(letter) < 32 for letter in path):
        return START
    return path if is_page(path.partition("?")[0].partition("#")[0]) else START


def token_in(form: bytes) -> tuple[str, str]:
    """The token and the page wanted, of a posted log-in form."""
    found = parse_qs(form.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return found.get("token", [""])[0].strip(), local(found.get("next", [START])[0])
