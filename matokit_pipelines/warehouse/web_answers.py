"""What single answers about web reports say: how many visits, a goal, a trouble of the server inside a good answer.

Not here: asking for them (web_pass.py), landing them (web_landing.py).
"""

from __future__ import annotations

from typing import Any

from matokit_pipelines.errors import MatokitError, ReportRefused, SourceUnavailable
from matokit_pipelines.warehouse.web_ledger import WebGoal

_PASSING = ("SQLSTATE", "Allowed memory size")  # never translated: no report is missing, the server is in trouble


def goal_of(row: dict[str, Any]) -> WebGoal:
    """A row of Goals.getGoals as it is kept."""
    return WebGoal(str(row["idgoal"]), str(row.get("name") or ""), str(row.get("match_attribute") or ""))


def visits_of(figures: Any) -> int | None:
    """`nb_visits` of an answer; 0 for an empty one; None when it does not say it."""
    if figures in ([], {}):
        return 0
    if not isinstance(figures, dict):
        return None
    try:
        return int(float(figures["nb_visits"]))
    except (KeyError, OverflowError, TypeError, ValueError):
        return None


def raise_if_passing(error: MatokitError) -> None:
    """A trouble of the server that comes inside a good answer: it ends the pass, and no report is taken for missing."""
    if isinstance(error, ReportRefused) and any(word in error.said for word in _PASSING):
        raise SourceUnavailable(str(error)) from error
    if not isinstance(error, ReportRefused):
        raise error
