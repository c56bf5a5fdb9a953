"""Tokens of Piwik PRO: asking for one, renewing it in time, and sending requests under it from several threads.

A token lives half an hour and has no refresh token, so a long extraction outlives it. Not here: what is asked for
under a token (piwik_pro.py), where credentials are kept (settings.py).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    CredentialsRefused,
    MatokitError,
    SourceError,
    SourceMissing,
)
from matokit_pipelines.sources.http import Answer, HttpSession, Passing, Unreadable

PAGES_FOR_TOKEN = 2  # a proxy puts a page in place of an answer now and then
RENEW_BEFORE = 60.0  # seconds; as the vendor's own client does
USUAL_LIFE = 1800.0
MOST_TOKENS = 10  # one request is sent under; other threads may use up several meanwhile
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Credentials:
    """API credentials of a user of Piwik PRO; they act with that user's rights."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass
class _Token:
    number: int  # which renewal it came from: the next one may give the same text
    text: str = field(repr=False)
    renew_at: datetime
    is_accepted: bool = False


class Tokens:
    """Sends requests under a valid token. `credentials` is asked at each renewal, so they can be rotated meanwhile.

    Threads share one token: whoever needs a new one first asks for it, the others wait for that. Credentials that were
    refused are not sent a second time.
    """

    def __init__(self, session: HttpSession, credentials: Callable[[], Credentials], clock: Clock) -> None:
        self._session = session
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._refused: tuple[Credentials, MatokitError] | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        passing: Passing,
    ) -> Answer:
        """The answer to one request under a token; a refused token is renewed once and the request sent once more.

        More than once only where the new token served another thread and was refused afterwards, or came from one.
        Raises what HttpSession.request raises; CredentialsRefused or AccessRefused when no token is given, and
        AccessRefused when a fresh one is refused.
        """
        token, is_fresh = self._current()[0], False
        for _ in range(MOST_TOKENS):
            headers = {"Authorization": f"Bearer {token.text}"}
            answer = self._session.request(method, path, params=params, json=json, headers=headers, passing=passing)
            if answer.status != 401:
                token.is_accepted = True
                return answer
            if is_fresh and not token.is_accepted:
                break
            token, is_fresh = self._current(refused=token.number)
        raise AccessRefused(
            f"{self._session.host} gives source {self._session.name} a token and refuses it at once; check that the "
            f"user of {_variables(self._session.name)} is active, and that the url is that of this account."
        )

    def _current(self, refused: int = 0) -> tuple[_Token, bool]:
        """A token neither about to expire nor number `refused` or older, and whether it was asked for just now."""
        with self._lock:
            token = self._token
            if token and token.number > refused and self._clock.now() < token.renew_at:
                return token, False
            self._token = self._renewed(token.number + 1 if token else 1)
            return self._token, True

    def _renewed(self, number: int) -> _Token:
        credentials = self._credentials()
        if self._refused and self._refused[0] == credentials:
            raise self._refused[1]
        asked_at = self._clock.now()
        pages: list[Answer] = []

        def passing(answer: Answer) -> str | None:
            if answer.status == 200 and answer.kind == "text/html" and len(pages) < PAGES_FOR_TOKEN:
                pages.append(answer)
                return Unreadable("it answered with a page instead of a token")
            return _why_again(answer)

        answer = self._session.request(
            "POST",
            "auth/token",
            form={
                "grant_type": "client_credentials",
                "client_id": credentials.client_id,
                "client_secret": credentials.client_secret,
            },
            passing=passing,
        )
        if answer.status != 200:
            error = self._refusal(answer)
            self._refused = (credentials, error)
            raise error
        found = _json(answer)
        text = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(text, str) or not _TOKEN.fullmatch(text):
            raise AnswerNotUnderstood(
                f"{self._session.host} answers source {self._session.name} with something else than a token; check "
                "that the url is the address of a Piwik PRO account."
            )
        life = _life(found.get("expires_in"))
        renew_after = life - min(RENEW_BEFORE, life / 2)  # or a token of a minute would be renewed at each request
        return _Token(number, text, asked_at + timedelta(seconds=renew_after))

    def _refusal(self, answer: Answer) -> MatokitError:
        """What the token endpoint's refusal means. None of them is worth another try."""
        host, name = self._session.host, self._session.name
        found = _json(answer)
        reason = found.get("error") if isinstance(found, dict) else None
        if answer.status in (400, 401) and reason != "unsupported_grant_type":
            return CredentialsRefused(
                f"{host} refuses the credentials of source {name}; put a valid pair (Menu, Profile, API credentials) "
                f"into {_variables(name)}."
            )
        if answer.status in (402, 403):
            return AccessRefused(
                f"{host} gives source {name} no token because its account has no active licence or shut the user out; "
                f"renew the licence, or put credentials of another account into {_variables(name)}."
            )
        if answer.status == 404:
            return SourceMissing(
                f"{host} has no place to ask for tokens (source {name}); check that the url is the address of a Piwik "
                "PRO account."
            )
        return SourceError(
            f"{host} answered {answer.status} when asked for a token (source {name}); check that the url is the "
            "address of a Piwik PRO account."
        )


def _variables(name: str) -> str:
    prefix = f"MATOKIT_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"
    return f"{prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET"


def _why_again(answer: Answer) -> str | None:
    if answer.status == 200 and answer.kind == "application/json" and _json(answer) is None:
        return Unreadable("it answered half a document")
    return None


def _json(answer: Answer) -> Any:
    """The parsed body, None when it is no JSON."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _life(expires_in: Any) -> float:
    """Seconds a token lives; the usual half hour where the answer does not tell."""
    known = isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and 0 < expires_in < 10**6
    return float(expires_in) if known else USUAL_LIFE
