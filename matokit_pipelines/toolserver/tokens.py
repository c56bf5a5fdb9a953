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
        self._tokens = _read(loaded)
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

    def _current(self) -> tuple[_Token, ...]:
        if self._changes and self._is_time():
            try:
                self._tokens = _read(self._loaded)
            except SettingsError as error:  # half written, or a fault: the old ones stay until it is mended
                _LOG.warning("Tokens are not renewed: %s", error)
        return self._tokens

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


def _read(loaded: Loaded) -> tuple[_Token, ...]:
    found = []
    for variable in _names(loaded):
        value = loaded.secret(variable)
        if value is None and not (variable in loaded.environ and variable != PAGES):
            continue
        if fault := fault_of(value or ""):
            raise SettingsError(
                f"{variable} {fault}, so the tool server does not start; put a random token of at least {SHORTEST} "
                "characters there, such as `openssl rand -hex 24` makes."
            )
        assert value is not None
        name = {MAIN: "main", PREDECESSOR: "opal", PAGES: "pages"}.get(variable, variable.removeprefix(CALLER).lower())
        found.append(_Token(name, variable == PAGES, hashlib.sha256(value.encode()).digest()))
    shared = {token.digest for token in found if token.is_for_pages} & {t.digest for t in found if not t.is_for_pages}
    if shared:
        raise SettingsError(
            f"{PAGES} is the token of a caller too, so whoever reads the pages could call the tools; give the pages a "
            "token of their own."
        )
    if not any(not token.is_for_pages for token in found):
        raise SettingsError(
            f"The tool server has no token; put a random one of at least {SHORTEST} characters into {MAIN} (or name a "
            f"file in {MAIN}_FILE), such as `openssl rand -hex 24` makes."
        )
    return tuple(found)
