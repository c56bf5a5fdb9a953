"""Errors of live questions as they go on: a spent budget is a time-out unless our own waiting spent it.

No token is left in their words. Not here: what they are to a caller (upstream.py).
"""

from __future__ import annotations

from matokit_pipelines.errors import MatokitError, ReportRefused, SourceBusy, SourceTimedOut, SourceUnavailable
from matokit_pipelines.sources.http import HttpSession

FAIR_SHARE = 0.4  # of the time of a question: less is left only where a limit of the server was waited out
_SOON = 1.0


def told(error: MatokitError, session: HttpSession, left: float, seconds: float) -> MatokitError:
    """The error as it goes on: known as a time-out where the budget ended it.

    `left`: how many of the `seconds` the request had. With less than a fair share of them the server is not silent, but
    one that takes so few requests that ours had to wait.
    """
    is_late = isinstance(error, SourceTimedOut) or (type(error) is SourceUnavailable and session.is_out_of_time)
    if is_late and left < FAIR_SHARE * seconds:
        return SourceBusy(f"Matomo had but {left:.1f} s to answer after a wait that it asked for; ask again.", _SOON)
    if is_late and not isinstance(error, SourceTimedOut):
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
