"""Events of one category, action and name, counted in the events themselves, where these are read from the site.

Matomo's reports do not know all three at once. Not here: the other questions about events (events.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from matokit_pipelines.errors import NothingPublished
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.toolserver.sites import Site
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.toolserver.web import tables
from matokit_pipelines.toolserver.web.asking import Asked, begun
from matokit_pipelines.toolserver.web.comparing import with_previous_row
from matokit_pipelines.toolserver.web.parameters import EventParameters
from matokit_pipelines.toolserver.web.shaping import number, ratio, stamp
from matokit_pipelines.warehouse.serving import Reader
from matokit_pipelines.windows import start_of_day

_FIGURES = ("nb_events", "sum_event_value", "nb_events_with_value", "min_event_value", "max_event_value")
_TWO_ONLY = "Leave out category, action or name: Matomo's reports answer for two of them."


def answer_sent_events(kit: Kit, parameters: EventParameters) -> Answer:
    """The rows of that category, action and name; Problem 400 where the events of the site or span are not read."""
    site = kit.sites.find(parameters.siteId)
    asked = begun(kit, parameters, zone=_zone(kit, site, _source(kit, site)))
    if parameters.segment:
        raise refused("Events of one category, action and name cannot be cut to a segment.", _TWO_ONLY)
    rows, as_of = _rows(asked, parameters)
    rows = rows[: parameters.limit]
    if parameters.compare:
        found, _ = _rows(asked.before(), parameters)
        before = {row["label"]: row for row in found}
        rows = [with_previous_row(row, before.get(row["label"]), _FIGURES[:2], is_whole=True) for row in rows]
    return Answer(rows, as_of)


def _rows(asked: Asked, parameters: EventParameters) -> tuple[list[dict[str, Any]], datetime]:
    source = _source(asked.kit, asked.site)
    wanted = {
        "source": source.name, "site": source.site_id, "first": asked.span.start, "last": asked.span.end,
        "category": parameters.category, "action": parameters.action, "name": parameters.name,
    }  # fmt: skip
    try:
        with asked.kit.snapshots.reading() as reader:
            as_of = _read_until(asked, reader, source)
            records = tables.question_of(reader, "web_sent_events", wanted)
    except NothingPublished:
        raise _not_read(asked.site) from None
    project = asked.kit.loaded.settings.project.timezone
    beside = {} if project == asked.facts.zone.key else {"days_in": project}
    return [{**_published(record), **beside, "as_of": stamp(as_of)} for record in records], as_of


def _source(kit: Kit, site: Site) -> SourceSettings:
    """The source that reads the events of the site."""
    place = (site.connection.url.lower(), site.id)
    for source in kit.loaded.settings.sources:
        if source.kind == "matomo" and source.has_events and (source.url.lower(), source.site_id) == place:
            return source
    raise _not_read(site)


def _zone(kit: Kit, site: Site, source: SourceSettings) -> ZoneInfo:
    """The zone of the site as its events were read: Matomo itself need not be asked for it."""
    try:
        with kit.snapshots.reading() as reader:
            found = tables.question_of(reader, "web_sent_events_read", {"source": source.name})
    except NothingPublished:
        found = []
    if not found:
        raise _not_read(site)
    return ZoneInfo(found[0]["zone"])


def _read_until(asked: Asked, reader: Reader, source: SourceSettings) -> datetime:
    """Up to when the events are read; Problem unless that is the whole span, up to now."""
    found = tables.question_of(reader, "web_sent_events_read", {"source": source.name})
    first, until = (found[0]["proven_from"], found[0]["watermark"]) if found else (None, None)
    if first is None or until is None:
        raise _not_read(asked.site)
    zone = asked.kit.loaded.settings.project.zone  # its days are what events are counted by
    ends = start_of_day(asked.span.end + timedelta(days=1), zone)
    is_current = asked.span.end >= asked.span.today and start_of_day(asked.span.end, zone) <= until
    if first > start_of_day(asked.span.start, zone) or (until < ends and not is_current):
        raise refused(
            f"The events of {asked.site.name} are read from {stamp(first)} to {stamp(until)} only.",
            f"Ask for days within. Or: {_TWO_ONLY[0].lower()}{_TWO_ONLY[1:]}",
        )
    moment: datetime = min(until, asked.now)
    return moment


def _not_read(site: Site) -> Problem:
    return refused(
        f"The events of {site.name} themselves are not read here, so one category, action and name together "
        "cannot be answered.",
        _TWO_ONLY,
    )


def _published(record: dict[str, Any]) -> dict[str, Any]:
    names = {key: record[key] for key in ("category", "action", "name")}
    figures = {key: found for key in _FIGURES if (found := number(record[key])) is not None}
    average = ratio(figures.get("sum_event_value"), figures.get("nb_events_with_value"), 2)
    return {
        "label": " - ".join(names.values()), **names, **figures,
        **({} if average is None else {"avg_event_value": average}),
    }  # fmt: skip
