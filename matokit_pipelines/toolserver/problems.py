"""What a caller is told when a call fails: one sentence, its category, and what to do, never an exception's own text.

Not here: which answer of Matomo means what (upstream.py), how a problem travels (opal.py, mcp_face.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal[
    "auth", "permission", "rate-limit", "client", "server", "network", "parse", "unknown", "unauthorized", "not-found"
]

# One sentence a category; upstream.py has more specific ones.
GUIDANCE: dict[Category, str] = {
    "auth": "The operator has to renew or replace the token that matokit uses for the upstream service.",
    "permission": "The operator has to give the user of the configured token view access to that site.",
    "rate-limit": "Wait the stated seconds, then call again.",
    "client": (
        "Check the site, the period (day, week, month, year, range) and the date (YYYY-MM-DD, YYYY-MM, today, "
        "yesterday, lastN, previousN, or two dates as A,B)."
    ),
    "server": "Try again later; if it stays so, the operator finds the reason in the log of the upstream server.",
    "network": "The operator has to check the base URL, the name service and the certificate of the upstream server.",
    "parse": "The configured URL answers something that is not the expected API, often a log-in page; correct it.",
    "unknown": "Try again; if it stays so, tell the operator the request id of this answer.",
    "unauthorized": "Send the token of this tool registry as `Authorization: Bearer <token>`.",
    "not-found": "Ask GET /discovery which tools there are.",
}

STATUS: dict[Category, int] = {
    "auth": 502, "permission": 403, "rate-limit": 503, "client": 400, "server": 502, "network": 502, "parse": 502,
    "unknown": 500, "unauthorized": 401, "not-found": 404,
}  # fmt: skip


@dataclass
class Problem(Exception):
    """A call that could not be answered.

    message: one sentence a model can act on. status: the HTTP status, by category unless given. retry_after: seconds,
    when waiting helps. code: Matomo's number of the error, when there is one.
    """

    category: Category
    message: str
    guidance: str = ""
    status: int = 0
    retry_after: float | None = None
    code: int | None = None

    def __post_init__(self) -> None:
        super().__init__(self.message)
        self.guidance = self.guidance or GUIDANCE[self.category]
        self.status = self.status or STATUS[self.category]

    def body(self) -> dict[str, object]:
        """The answer's body: error, type, guidance, and what else is known."""
        body: dict[str, object] = {"error": self.message, "type": self.category, "guidance": self.guidance}
        if self.code is not None:
            body["code"] = self.code
        if self.retry_after is not None:
            body["retryAfter"] = round(self.retry_after, 3)
        return body


def refused(message: str, guidance: str = "") -> Problem:
    """The caller asked for something that cannot be: 400."""
    return Problem("client", message, guidance)
