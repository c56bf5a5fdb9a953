"""The tokens that open the tool server: several, named, renewed without a restart, compared in constant time.

`MATOKIT_TOOLSERVER_TOKEN` (or the predecessor's `OPAL_BEARER_TOKEN`), one more a caller as
`MATOKIT_TOOLSERVER_TOKEN_<NAME>`, and `MATOKIT_TOOLSERVER_PAGES_TOKEN` for the pages only; each may instead be named
as a file, `…_FILE`, which is looked at every second. Not here: what a token opens (gate.py).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.settings import CALLER, Loaded

MAIN = "MATOKIT_TOOLSERVER_TOKEN"
PREDECESSOR = "OPAL_BEARER_TOKEN"
PAGES = "MATOKIT_TOOLSERVER_PAGES_TOKEN"
SHORTEST = 16
FEWEST_LETTERS = 6  # different ones: of 16 random hexadecimal digits, one token in 30,000 has fewer
LOOK_SECONDS = 1.0
_SCAFFOLDS = frozenset({"change-me", "changeme", "set-me", "token_auth_here", "secret", "password", "token", "example"})
_SHARED = (
    f"{PAGES} is the token of a caller too, so whoever reads the pages could call the tools; give the pages a token of "
    "their own."
)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Token:
    """What is kept of a token: its name and digest, never itself."""

    name: str
    is_for_pages: bool
    digest: bytes = field(repr=False)


def fault_of(value: str) -> str | None:
    """Why a value is no token, in words that end "it ..."; None when it is one."""
    plain = value.strip().lower()
    if not plain:
        return "is empty"
    if plain in _SCAFFOLDS or re.fullmatch(r"<.*>|x+|\*+|\.+", plain) or plain.startswith(("change-me", "set-me")):
        return "is a placeholder"
    if len(value) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    if len(set(value)) < FEWEST_LETTERS:
        return "repeats a few characters"
    if not value.isascii() or not value.isprintable() or " " in value:
        return "holds a blank or a character that no header carries"
    return None


class Tokens:
    """All tokens of this server. SettingsError at once when there is none, or one is a placeholder."""

    def __init__(self, loaded: Loaded, clock: Clock) -> None:
        self._loaded = loaded
        self._clock = clock
        self._tokens = _read(loaded)  # by variable
        self._faults: list[str] = []
        self._looked = clock.now()
        self._lock = threading.Lock()
        self._changes = any(
            name.endswith("_FILE") and name.removesuffix("_FILE") in _names(loaded) for name in loaded.environ
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the callers, not their tokens."""
        return tuple(token.name for token in self._current())

    def caller(self, token: bytes, *, pages: bool = False) -> str | None:
        """The name of who holds this token, None for a stranger. `pages`: a token for the pages is enough.

        Every token is compared, in constant time, so that the time tells nothing about any.
        """
        digest = hashlib.sha256(token).digest()
        found = None
        for known in self._current():
            if hmac.compare_digest(known.digest, digest) and (pages or not known.is_for_pages):
                found = known.name
        return found

    def signed(self, text: str) -> dict[str, bytes]:
        """`text` signed with each token that opens the pages, by name: a renewed token ends what the old one signed."""
        key = b"matokit pages"
        return {
            token.name: hmac.new(token.digest, key + text.encode(), hashlib.sha256).digest()
            for token in self._current()
        }

    def _current(self) -> Iterable[_Token]:
        if self._changes and self._is_time():
            self._renew()
        return self._tokens.values()

    def _renew(self) -> None:
        """Take what is new of each token by itself: a fault in one file must not keep a leaked one in force."""
        tokens, faults = dict(self._tokens), []
        for variable in tokens:
            try:
                fresh = {**tokens, variable: _of(variable, self._loaded.secret(variable))}
            except SettingsError as error:  # half written, or a fault: the old one stays until it is mended
                faults.append(f"{error} Until then the old token stays in force.")
                continue
            if _is_shared(fresh.values()):
                faults.append(f"{variable} is not renewed and the old token stays in force: {_SHARED}")
                continue
            tokens = fresh
        for fault in faults:
            if fault not in self._faults:
                _LOG.warning("%s", fault)
        self._tokens, self._faults = tokens, faults

    def _is_time(self) -> bool:
        now: datetime = self._clock.now()
        if abs((now - self._looked).total_seconds()) < LOOK_SECONDS:
            return False
        with self._lock:
            self._looked = now
        return True


def _names(loaded: Loaded) -> list[str]:
    further = {
        name.removesuffix("_FILE") for name in loaded.environ if name.startswith(CALLER) and name != f"{MAIN}_FILE"
    }
    return [MAIN, PREDECESSOR, *sorted(further), PAGES]


def _read(loaded: Loaded) -> dict[str, _Token]:
    found = {}
    for variable in _names(loaded):
        value = loaded.secret(variable)
        if value is not None or (variable in loaded.environ and variable != PAGES):
            found[variable] = _of(variable, value)
    if _is_shared(found.values()):
        raise SettingsError(_SHARED)
    if not any(not token.is_for_pages for token in found.values()):
        raise SettingsError(
            f"The tool server has no token; put a random one of at least {SHORTEST} characters into {MAIN} (or name a "
            f"file in {MAIN}_FILE), such as `openssl rand -hex 24` makes."
        )
    return found


def _of(variable: str, value: str | None) -> _Token:
    """The token of a variable; SettingsError when its value is none."""
    value = value or ""
    if fault := fault_of(value):
        raise SettingsError(
            f"{variable} {fault}; put a random token of at least {SHORTEST} characters there, such as "
            "`openssl rand -hex 24` makes."
        )
    name = {MAIN: "main", PREDECESSOR: "opal", PAGES: "pages"}.get(variable, variable.removeprefix(CALLER).lower())
    return _Token(name, variable == PAGES, hashlib.sha256(value.encode()).digest())


def _is_shared(tokens: Iterable[_Token]) -> bool:
    """Whether whoever reads the pages could call the tools."""
    pages = {token.digest for token in tokens if token.is_for_pages}
    return any(token.digest in pages for token in tokens if not token.is_for_pages)
