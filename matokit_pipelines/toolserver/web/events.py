"""Events by action and name, or by two others of category, action and name; all three only from sent events.

Matomo's reports join two of the three. Its own parameters choose visits, not events; so rows are chosen here. Not
here: reading the sent events (sent_events.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.toolserver.web.lists import answer_rows
from matokit_pipelines.toolserver.web.parameters import EventParameters
from matokit_pipelines.toolserver.web.reports import events_report
from matokit_pipelines.toolserver.web.sent_events import answer_sent_events

_BY_ACTION = events_report("action", "name")
_OF_CATEGORY = {
    False: events_report("category", "action"),
    True: events_report("category", "name"),
}


def get_events(kit: Kit, parameters: EventParameters) -> Answer:
    """The events that fit the filters, the most frequent first."""
    given = {
        key: value.lower() for key in ("category", "action", "name") if (value := getattr(parameters, key)) is not None
    }
    if len(given) == 3:
        return answer_sent_events(kit, parameters)
    report = _OF_CATEGORY["name" in given] if "category" in given else _BY_ACTION
    if not given:
        return answer_rows(kit, parameters, report)
    return answer_rows(kit, parameters, report, lambda row: _fits(row, given))


def _fits(row: Mapping[str, Any], given: Mapping[str, str]) -> bool:
    return all(str(row.get(key, "")).lower() == value for key, value in given.items())
