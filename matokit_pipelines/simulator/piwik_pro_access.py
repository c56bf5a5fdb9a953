"""Credentials, tokens and the rate limit of a simulated Piwik PRO.

Belongs here: who may ask, and how often. Does not belong here: what is answered to whom may.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Literal

from matokit_pipelines.simulator.piwik_pro_answers import json_answer
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions, PiwikProFaults
from matokit_pipelines.simulator.wire import Answer, Request

CLIENT_ID = "5117a7ed0c11e97000000000000000aa"
CLIENT_SECRET = "5117a7ed5ec7e7" + "0" * 50
ORGANISATION = "default"
MINUTE = 60.0
Standing = Literal["good", "missing", "bad", "expired"]
_MALFORMED = (
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than "
    "once, or is otherwise malformed."
)
_UNSUPPORTED = "The authorization grant type is not supported by the authorization server."


@dataclass
class Token:
    """A token that was given out. expires: epoch seconds; sees: whether its user may see the site."""

    client_id: str
    expires: float
    sees: bool
    served: int = 0
    void: bool = False


@dataclass(frozen=True)
class Client:
    """A pair of API credentials; sees: whether the user who made them may see the site."""

    id: str
    secret: str
    sees: bool


class Access:
    """Gives out tokens and knows them again. Not safe for threads: its server takes turns."""

    def __init__(self, clients: tuple[Client, ...], assumed: Assumptions, faults: PiwikProFaults) -> None:
        self._clients = {client.id: client for client in clients}
        self._assumed, self._faults = assumed, faults
        self._tokens: dict[str, Token] = {}

    def token(self, request: Request, now: float, url: str) -> Answer:
        """The answer to a request for a token, body as JSON or as a form."""
        sent = _sent(request)
        if sent.get("grant_type") != "client_credentials":
            hint = "Check that all required parameters have been provided"
            return _refusal("unsupported_grant_type", _UNSUPPORTED, hint)
        for name in ("client_id", "client_secret"):
            if not isinstance(sent.get(name), str) or not sent[name]:
                return _refusal("invalid_client", _MALFORMED, f"Check the `{name}` parameter")
        client = self._clients.get(sent["client_id"])
        if client is None:
            return json_answer({"error": "invalid_client"}, self._assumed.unknown_client)
        if not hmac.compare_digest(client.secret.encode(), sent["client_secret"].encode()):
            return json_answer({"error": "invalid_client"}, 401)
        if self._faults.no_license:
            text = f'There is no active license for "{ORGANISATION}" organization'
            return json_answer({"code": 402, "message": text}, 402)
        lasts = self._assumed.token_lifetime_s
        text = self._signed(client, now, lasts, url)
        self._tokens[text] = Token(client.id, now + lasts, client.sees)
        value = {"token_type": "Bearer", "expires_in": lasts, "access_token": text}
        return replace(json_answer(value), content_type="application/json; charset=UTF-8")

    def known(self, request: Request, now: float) -> tuple[Token | None, Standing]:
        """The token of a request and how it stands; the token is None unless it is good."""
        header = request.headers.get("authorization", "")
        if not header:
            return None, "missing"
        word, _, text = header.partition(" ")
        token = self._tokens.get(text.strip()) if word.lower() == "bearer" else None
        if token is None or token.void:
            return None, "bad"
        return (token, "good") if now < token.expires else (None, "expired")

    def _signed(self, client: Client, now: float, lasts: int, url: str) -> str:
        """A JSON Web Token in form; the signature only looks like one, for nobody but the service can check it."""
        claims = {
            "iss": url,
            "aud": client.id,
            "iat": int(now),
            "exp": int(now) + lasts,
            "sub": client.id,
            "org": ORGANISATION,
            "eml": "analyst@example.org",
            "jti": len(self._tokens),
        }
        parts = [_base64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "RS256"}, claims)]
        seed = ".".join(parts).encode() + client.secret.encode()
        signature = b"".join(hashlib.sha256(seed + bytes([part])).digest() for part in range(8))
        return ".".join([*parts, _base64(signature)])


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _sent(request: Request) -> dict[str, Any]:
    if request.form:
        return dict(request.form)
    try:
        body = json.loads(request.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(error: str, text: str, hint: str) -> Answer:
    return json_answer({"error": error, "error_description": text, "hint": hint, "message": text}, 400)


class Limiter:
    """At most so many requests in any 60 seconds of the simulator's clock; refused ones do not count."""

    def __init__(self, assumed: Assumptions) -> None:
        self._assumed = assumed
        self._times: dict[tuple[str, ...], deque[float]] = {}

    def wait(self, http: str, credential: str, path: str, now: float) -> int | None:
        """Seconds that the request has to wait (at least 1), None if it may pass; a request that may pass counts."""
        if not self._assumed.rate_limit:
            return None
        kind = "get" if http == "GET" else "other"
        most = self._assumed.rate_limit_get if http == "GET" else self._assumed.rate_limit_other
        key = (kind, credential, path) if self._assumed.rate_limit_scope == "path" else (kind, credential)
        times = self._times.setdefault(key, deque())
        while times and times[0] <= now - MINUTE:
            times.popleft()
        if len(times) >= most:
            return max(1, math.ceil(times[0] + MINUTE - now))
        times.append(now)
        return None
