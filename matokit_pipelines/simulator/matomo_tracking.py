"""The Tracking API (`matomo.php`): page views, events and goals in, singly or in bulk.

Belongs here: what is accepted, refused, or accepted and dropped. Does not belong here: how visits form (matomo_log),
what a hit on the web site means (matomo_web_tracking).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from matokit_pipelines.simulator.faults import Dice
from matokit_pipelines.simulator.matomo_access import Tokens
from matokit_pipelines.simulator.matomo_log import (
    Arrival,
    MatomoLog,
    fingerprint,
    stored_dimension,
    stored_text,
    stored_url,
    stored_value,
)
from matokit_pipelines.simulator.matomo_web_log import WebLog
from matokit_pipelines.simulator.matomo_web_tracking import web_hit
from matokit_pipelines.simulator.tracked_time import happened_at
from matokit_pipelines.simulator.wire import Answer, Request

GIF = bytes.fromhex("4749463839610100010080000000000000000021f90401000000002c00000000010001000002024401003b")
LONGEST_NAME = 4_096
WITHOUT_TOKEN = 86_400
_TEXT = "text/html; charset=UTF-8"
_ABOUT = b"This is the endpoint for the Matomo tracking API; the Reporting API is at index.php.\n"
_VISITOR = re.compile(r"[0-9a-fA-F]{16}")
_BOTS = re.compile(r"bot\b|crawler|spider|slurp", re.IGNORECASE)


class _Refused(Exception):
    """The request is answered with an error and not stored."""


class _TooLong(Exception):
    """The write fails on a name longer than its column."""


class _Accepted(NamedTuple):
    """A hit to store, and the parameters it came with."""

    log: MatomoLog
    arrival: Arrival
    params: dict[str, str]
    user_agent: str


@dataclass
class MatomoTracking:
    """Tracking for a site of installer events, and maybe for a web site (its number and log).

    tracked: the parameters of every hit stored, in order of arrival, tokens left out. `answer` is not safe for
    threads: its server takes turns.
    """

    site_id: int
    log: MatomoLog
    tokens: Tokens
    dice: Dice
    version: str
    web: tuple[int, WebLog] | None = None
    tracked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: Request, now: int) -> Answer:
        """The answer to a request for matomo.php at `now` (epoch seconds)."""
        if request.http == "POST" and b'"requests"' in request.body:
            return self._bulk(request, now)
        params = request.params
        if not params:
            return Answer(400 if request.body else 200, _TEXT, _ABOUT)
        silent = params.get("send_image") == "0"
        if self.dice.faults.recording_off:
            self.dice.struck["recording_off"] += 1
            return Answer(204, _TEXT, b"") if silent else Answer(503, "image/gif", GIF)
        try:
            self._store(self._accept(params, request, params.get("token_auth", ""), now))
        except (_Refused, _TooLong):
            return Answer(400, _TEXT, _ABOUT) if silent else Answer(400, "image/gif", GIF + _ABOUT)
        return Answer(204, _TEXT, b"") if silent else Answer(200, "image/gif", GIF)

    def _bulk(self, request: Request, now: int) -> Answer:
        try:
            sent = json.loads(request.body)
            wanted = list(sent["requests"])
        except (ValueError, KeyError, TypeError):
            return _bulk_answer(200, "success", 0, [], False)
        if self.dice.faults.recording_off:
            self.dice.struck["recording_off"] += 1
            return _bulk_answer(200, "success", 0, [], False)
        token = str(sent.get("token_auth") or "")
        known = self.tokens.role(token) is not None
        accepted: list[_Accepted | None] = []
        invalid: list[int] = []
        for number, one in enumerate(wanted):
            params = _parameters(one)
            try:
                accepted.append(self._accept(params, request, params.get("token_auth", token), now))
            except _Refused:
                invalid.append(number)
            except _TooLong:
                # Counts what came before, yet all of it is rolled back.
                return _bulk_answer(500, "error", len(accepted), invalid, known)
        for arrival in accepted:
            self._store(arrival)
        if str(sent.get("send_image")) == "0":
            return Answer(204, "application/json", b"")
        return _bulk_answer(200, "success", len(accepted), invalid, known)

    def _accept(self, params: Mapping[str, str], request: Request, token: str, now: int) -> _Accepted | None:
        """What is to be stored, None for what is accepted and dropped. Raises _Refused and _TooLong."""
        admin = self.tokens.role(token) == "super"
        log = self._log_of(params.get("idsite"))
        if log is None or ("cip" in params and not admin):
            raise _Refused
        if params.get("rec") != "1" or _BOTS.search(request.user_agent):
            return None
        visitor = _visitor(params, request)
        ts = happened_at(params.get("cdt"), now)
        if ts < now - WITHOUT_TOKEN and not admin:
            raise _Refused
        if params.get("ping") == "1":
            log.ping(visitor, ts)
            return None
        event = stored_text(params.get("e_c")) and stored_text(params.get("e_a"))
        name = params.get("e_n") if event else params.get("action_name")
        if name is not None and len(name) > LONGEST_NAME:
            raise _TooLong
        arrival = Arrival(
            at=now,
            visitor=visitor,
            ts=ts,
            wall=log.wall(ts),
            category=stored_text(params.get("e_c")) if event else None,
            action=stored_text(params.get("e_a")) if event else None,
            name=stored_text(name),
            value=stored_value(params.get("e_v"), self.version) if event else None,
            dimensions=(
                stored_dimension(params.get("dimension1")),
                stored_dimension(params.get("dimension2")),
                stored_dimension(params.get("dimension3")),
            ),
            url=stored_url(params.get("url")),
        )
        return _Accepted(log, arrival, {k: v for k, v in params.items() if k != "token_auth"}, request.user_agent)

    def _log_of(self, text: str | None) -> MatomoLog | None:
        if self.web is not None and text == str(self.web[0]):
            return self.web[1]
        return self.log if text == str(self.site_id) else None

    def _store(self, accepted: _Accepted | None) -> None:
        if accepted is None:
            return
        if isinstance(accepted.log, WebLog):
            accepted.log.take_hit(web_hit(accepted.params, accepted.arrival, accepted.user_agent))
        else:
            accepted.log.take(accepted.arrival)
        self.tracked.append(accepted.params)


def _visitor(params: Mapping[str, str], request: Request) -> str:
    """Who sent a hit: 16 hex digits from the user's id, an id that has to be right, or one that may be wrong."""
    if params.get("uid"):
        return hashlib.sha1(params["uid"].encode(), usedforsecurity=False).hexdigest()[:16]
    forced, usual = params.get("cid"), params.get("_id", "")
    if forced and not _VISITOR.fullmatch(forced):
        raise _Refused
    wanted = forced or (usual if _VISITOR.fullmatch(usual) else "")
    return wanted.lower() or fingerprint(request.client, request.user_agent)


def _parameters(one: Any) -> dict[str, str]:
    if isinstance(one, dict):
        return {str(key): str(value) for key, value in one.items()}
    return dict(parse_qsl(str(one).lstrip("?"), keep_blank_values=True))


def _bulk_answer(status: int, word: str, tracked: int, invalid: list[int], known: bool) -> Answer:
    value: dict[str, Any] = {"status": word, "tracked": tracked, "invalid": len(invalid)}
    if known:
        value["invalid_indices"] = invalid
    return Answer(status, "application/json", json.dumps(value).encode())
