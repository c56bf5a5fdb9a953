"""Whether a period without visits in the reports had none: the visit log, which needs no counting, is asked.

Not here: what follows from it (web_planning.py).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from matokit_pipelines.errors import ReportRefused
from matokit_pipelines.sources.matomo_reports import MatomoReports, Question
from matokit_pipelines.warehouse.web_planning import Span
from matokit_pipelines.windows import ONE_DAY

LIVE = "Live.getLastVisitsDetails"
_ONE = {"filter_limit": "1", "doNotFetchActions": "1", "showColumns": "idVisit,lastActionTimestamp"}


class VisitLog:
    """The visit log of one site, for one pass. It may be purged: then an empty old period proves nothing."""

    def __init__(self, reports: MatomoReports, kept_days: int, today: date) -> None:
        self._reports = reports
        self._safe_from = today - kept_days * ONE_DAY
        self._oldest: date | None = None
        self._asked = False
        self._empty: dict[Span, bool] = {}

    def is_empty(self, span: Span) -> bool:
        """Whether the log holds no visit of a period that has passed, and reaches back to it."""
        if span not in self._empty:
            self._empty[span] = self._is_empty(span)
        return self._empty[span]

    def _is_empty(self, span: Span) -> bool:
        try:
            found = self._ask({"period": span.period, "date": span.start.isoformat()})
            return found == [] and (span.start >= self._safe_from or self._reaches(span.start))
        except ReportRefused:  # the log is switched off
            return False

    def _reaches(self, day: date) -> bool:
        """Whether the log holds a visit of an earlier day, so that it cannot have been purged up to `day`."""
        if not self._asked:
            self._oldest = _day_of(self._ask({"filter_sort_order": "asc"}))
            self._asked = True
        return self._oldest is not None and self._oldest < day - ONE_DAY

    def _ask(self, params: dict[str, str]) -> Any:
        return self._reports.ask(Question(LIVE, {**_ONE, **params}))


def _day_of(found: Any) -> date | None:
    """The day in UTC of the one visit found; None when there is none, or it does not say."""
    try:
        return datetime.fromtimestamp(int(found[0]["lastActionTimestamp"]), UTC).date()
    except (IndexError, KeyError, OverflowError, TypeError, ValueError):
        return None
