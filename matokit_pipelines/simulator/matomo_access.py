"""Tokens, their rights, and the lock after too many failed log-ins.

Belongs here: who may ask. Does not belong here: what is answered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from matokit_pipelines.simulator.faults import Dice
from matokit_pipelines.simulator.matomo_answers import MatomoError
from matokit_pipelines.simulator.wire import Request

Role = Literal["nobody", "none", "view", "super"]
LOCK_AFTER, LOCK_SECONDS = 20, 3_600
_BAD = "Unable to authenticate with the provided token. It is either invalid or expired."
_BAD_IN_URL = (
    "Unable to authenticate with the provided token. It is either invalid, expired or is required to be sent as a "
    "POST parameter."
)
_LOCKED = "Too many failed logins. Please wait and try logging in again later."


@dataclass(frozen=True)
class Tokens:
    """view: may view the site. none: valid, without any site. superuser: may everything, track old events too.

    post_only: tokens count only in the POST body, as tokens made in Matomo's pages are by default.
    """

    view: str
    none: str
    superuser: str
    post_only: bool = True

    def role(self, token: str) -> Role | None:
        """The role of a token, None if unknown."""
        known: dict[str, Role] = {self.view: "view", self.none: "none", self.superuser: "super"}
        return known.get(token)


class Access:
    """Who may ask. Failed authentications are counted by client address over an hour of the simulator's clock."""

    def __init__(self, tokens: Tokens, dice: Dice) -> None:
        self.tokens = tokens
        self._dice = dice
        self._failed: dict[str, deque[int]] = {}

    def role(self, request: Request, now: int) -> Role:
        """The role of a request. Raises MatomoError (401, or 500 when locked out)."""
        token = request.params.get("token_auth", "")
        if token in ("", "anonymous"):
            return "nobody"
        if self._dice.faults.locked or self._is_locked(request.client, now):
            if self._dice.faults.locked:
                self._dice.struck["locked"] += 1
            raise MatomoError(_LOCKED, 500, page=True)
        in_url = "token_auth" in request.query and "token_auth" not in request.form
        role = None if in_url and self.tokens.post_only else self.tokens.role(token)
        if role is None:
            self._failed.setdefault(request.client, deque()).append(now)
            raise MatomoError(_BAD_IN_URL if in_url else _BAD, 401, page=True)
        return role

    def _is_locked(self, client: str, now: int) -> bool:
        failed = self._failed.get(client, deque())
        while failed and failed[0] <= now - LOCK_SECONDS:
            failed.popleft()
        return len(failed) >= LOCK_AFTER
