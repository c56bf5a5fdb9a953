"""Segments: conditions on actions, visits and visitors, as far as readers need them.

Belongs here: parsing a segment into a test. Does not belong here: which visits it is applied to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from matokit_pipelines.simulator.matomo_answers import MatomoError, escaped
from matokit_pipelines.simulator.matomo_log import Action, Visit
from matokit_pipelines.simulator.matomo_web_visits import REFERRER_TYPES

Test = Callable[[Visit, Action], bool]
_CONDITION = re.compile(r"([A-Za-z0-9_]+)(==|!=|=\^|=@|!@)(.*)$", re.DOTALL)
_FIELDS: dict[str, Callable[[Visit, Action], str | None]] = {
    "eventCategory": lambda visit, action: action.category,
    "eventAction": lambda visit, action: action.action,
    "eventName": lambda visit, action: action.name if action.category is not None else None,
    "visitorId": lambda visit, action: visit.visitor,
    "visitId": lambda visit, action: str(visit.id),
    "deviceType": lambda visit, action: visit.came.device.lower(),
    "referrerType": lambda visit, action: REFERRER_TYPES[visit.came.type][0],
    "referrerName": lambda visit, action: visit.came.name,
    "referrerKeyword": lambda visit, action: visit.came.keyword,
    "visitorType": lambda visit, action: "new" if visit.number == 1 else "returning",
    "pageUrl": lambda visit, action: action.url if action.category is None else None,
    "entryPageUrl": lambda visit, action: next((a.url for a in visit.actions if a.category is None), None),
    "dimension1": lambda visit, action: action.dimensions[0],
    "dimension2": lambda visit, action: action.dimensions[1],
    "dimension3": lambda visit, action: action.dimensions[2],
}


def segment(text: str) -> Test:
    """A test on one action (`,` = or binds closer than `;` = and). Values are url-encoded once more.

    A visit belongs to the segment if any of its actions passes. Raises MatomoError.
    """
    groups = [[_condition(part) for part in group.split(",")] for group in text.split(";")]
    return lambda visit, action: all(any(test(visit, action) for test in group) for group in groups)


def _condition(text: str) -> Test:
    match = _CONDITION.match(text)
    if match is None:
        raise MatomoError(f"The segment condition '{escaped(text)}' is not valid.")
    field = _FIELDS.get(match[1])
    if field is None:
        raise MatomoError(f"Segment '{escaped(match[1])}' is not a supported segment.")
    wanted = unquote(match[3])
    compare: dict[str, Callable[[str | None], bool]] = {
        "==": lambda value: (value or "") == wanted,
        "!=": lambda value: value is not None and value != wanted,
        "=^": lambda value: (value or "").startswith(wanted),
        "=@": lambda value: wanted in (value or ""),
        "!@": lambda value: wanted not in (value or ""),
    }
    test = compare[match[2]]
    return lambda visit, action: test(field(visit, action))
