"""Key numbers of a site: of one span, and as a series with one row a period."""

from __future__ import annotations

from typing import Any

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.toolserver.web.asking import begun
from matokit_pipelines.toolserver.web.comparing import changes, last, noted, with_previous
from matokit_pipelines.toolserver.web.dates import Part
from matokit_pipelines.toolserver.web.figures import Figures, key_figures
from matokit_pipelines.toolserver.web.parameters import HistoricalParameters, WebParameters
from matokit_pipelines.toolserver.web.reports import KEY_NUMBERS
from matokit_pipelines.toolserver.web.shaping import key_numbers, stamp


def get_key_numbers(kit: Kit, parameters: WebParameters) -> Answer:
    """The figures of the whole span."""
    asked = begun(kit, parameters)
    found = key_figures(asked)
    value = _one(found)
    if parameters.compare:
        value = with_previous(value, _one(key_figures(asked.before())), asked.span)
    return Answer(value, found.as_of)


def get_key_numbers_historical(kit: Kit, parameters: HistoricalParameters) -> Answer:
    """The figures of each period, in order of time."""
    asked = begun(kit, parameters, by_period=True)
    found = key_figures(asked)
    rows = [_row(found.of(part), part) for part in asked.span.parts]
    if parameters.compare:
        earlier = asked.before()
        before = key_figures(earlier)
        rows = [_beside(row, _row(before.of(part), part)) for row, part in zip(rows, earlier.span.parts, strict=True)]
    return Answer(rows, found.as_of)


def _one(found: Figures) -> dict[str, Any]:
    whole = found.whole()
    if whole is None:
        return {"nb_visits": None, "note": found.note, "as_of": stamp(found.as_of)}
    return noted({**_shaped(whole), "as_of": stamp(found.as_of)}, found.note)


def _row(found: Figures, part: Part) -> dict[str, Any]:
    whole = found.whole()
    if whole is None:
        return {"date": part.label, "nb_visits": None, "note": found.note, "as_of": stamp(found.as_of)}
    shaped = _shaped(whole)
    if not shaped["nb_visits"]:
        shaped = {"nb_visits": 0}
    return noted({"date": part.label, **shaped, "as_of": stamp(found.as_of)}, found.note)


def _shaped(raw: dict[str, Any]) -> dict[str, Any]:
    shaped = key_numbers(raw, KEY_NUMBERS)
    return shaped if "nb_visits" in shaped else {"nb_visits": 0, **shaped}


def _beside(row: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    if row["nb_visits"] is None or before["nb_visits"] is None:
        return last({**row, "previous": None, "change": None}, "note", "as_of")
    previous = {key: value for key, value in before.items() if key != "as_of"}
    return last({**row, "previous": previous, "change": changes(row, before, row)}, "note", "as_of")
