"""Errors of live questions as they go on: a spent budget is a time-out, and no token is left in their words.

Not here: what they are to a caller (upstream.py).
"""

from __future__ import annotations

from matokit_pipelines.errors import MatokitError, ReportRefused, SourceTimedOut, SourceUnavailable
from matokit_pipelines.sources.http import HttpSession


def told(error: MatokitError, session: HttpSession, seconds: float) -> MatokitError:
    """The error as it goes on: known as a time-out where the budget ended it."""
    if type(error) is SourceUnavailable and session.is_out_of_time:
        return SourceTimedOut(f"Matomo did not answer within {seconds:.0f} s; ask later.")
    return error


def hide(token: str, error: MatokitError) -> bool:
    """Cut the token out of what an error says; whether it was in there."""
    said = getattr(error, "said", "")
    if not token or token not in f"{error} {said}":
        return False
    error.args = tuple(one.replace(token, "…") if isinstance(one, str) else one for one in error.args)
    if isinstance(error, ReportRefused):
        error.said = said.replace(token, "…")
    return True
