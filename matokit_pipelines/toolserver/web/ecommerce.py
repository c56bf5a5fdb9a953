"""Orders of a site: as one set of figures, and as totals with one entry a period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.tools import Answer
from matokit_pipelines.toolserver.web.aggregating import added
from matokit_pipelines.toolserver.web.asking import Asked, begun
from matokit_pipelines.toolserver.web.comparing import NOT_OVER, changes, last, noted, of_before, with_previous
from matokit_pipelines.toolserver.web.figures import Figures, order_figures
from matokit_pipelines.toolserver.web.parameters import RevenueParameters, WebParameters
from matokit_pipelines.toolserver.web.reports import ECOMMERCE
from matokit_pipelines.toolserver.web.shaping import ratio, shape, share, stamp

_SUMMED = (
    "nb_conversions", "nb_visits", "nb_visits_converted", "revenue", "items", "revenue_subtotal", "revenue_tax",
    "revenue_shipping", "revenue_discount",
)  # fmt: skip
OFF = "Ecommerce is off for this site."
_NOTHING = {"nb_conversions": 0, "revenue": 0}


def get_ecommerce_overview(kit: Kit, parameters: WebParameters) -> Answer:
    """The orders of the whole span, all that Matomo tells of them."""
    asked = begun(kit, parameters)
    found = order_figures(asked)
    value = _overview(asked, found)
    if parameters.compare:
        earlier = asked.before()
        value = with_previous(value, _overview(earlier, order_figures(earlier)), asked.span)
    if not asked.facts.has_ecommerce:
        value = last({**value, "note": OFF}, "as_of")
    return Answer(value, found.as_of)


def get_ecommerce_revenue(kit: Kit, parameters: RevenueParameters) -> Answer:
    """Totals of the whole span, and where wanted one entry a period."""
    asked = begun(kit, parameters)
    found = order_figures(asked)
    value: dict[str, Any] = {"totals": _totals(asked, found)}
    wanted = parameters.includeSeries
    if wanted or (wanted is None and len(asked.span.parts) > 1):
        value["series"] = [_entry(asked, found.of(part), part.label) for part in asked.span.parts]
    if parameters.compare:
        earlier = asked.before()
        found_before = order_figures(earlier)
        before = _totals(earlier, found_before)
        known = before["revenue"] is not None and value["totals"]["revenue"] is not None
        value["previous"] = {"date": earlier.span.label, "totals": before} if known else None
        value["change"] = {"totals": changes(value["totals"], before, value["totals"])} if known else None
        if known and not asked.span.is_over:
            value["note"] = NOT_OVER
        if known:
            value = noted(value, of_before(found_before.note))
    value = noted(value, found.note if asked.facts.has_ecommerce else OFF)
    return Answer({**value, "as_of": stamp(found.as_of)}, found.as_of)


def _overview(asked: Asked, found: Figures) -> dict[str, Any]:
    whole = found.whole()
    if whole is None:
        return {"nb_visits": None, "note": found.note, "as_of": stamp(found.as_of)}
    return noted({**_shaped(asked, whole), "as_of": stamp(found.as_of)}, found.note)


def _entry(asked: Asked, found: Figures, label: str) -> dict[str, Any]:
    whole = found.whole()
    if whole is None:
        return {"label": label, "revenue": None, "note": found.note}
    return noted({"label": label, **_shaped(asked, whole)}, found.note)


def _shaped(asked: Asked, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Matomo's figures with what it does not send by itself: revenue by visit, and the rate after adding periods up."""
    made = {**_NOTHING, **raw}
    for key, value in _rates(made).items():
        if key not in raw and value is not None and key != "revenue_per_conversion":
            made[key] = value
    return shape(made, ECOMMERCE, asked.facts.currency)


def _totals(asked: Asked, found: Figures) -> dict[str, Any]:
    if found.unknown:
        return {"revenue": None, "nb_conversions": None}
    sums = {key: added([figures.get(key) for _, figures in found.parts if figures]) for key in _SUMMED}
    totals = {**_NOTHING, **{key: value for key, value in sums.items() if value is not None}}
    made = {**totals, **{key: value for key, value in _rates(totals).items() if value is not None}}
    return last(shape(made, ECOMMERCE, asked.facts.currency))


def _rates(sums: Mapping[str, Any]) -> dict[str, Any]:
    """What is made of sums; a rate without events is left out. Money by order has all digits, as the predecessor's."""
    return {
        "conversion_rate": share(sums.get("nb_visits_converted"), sums.get("nb_visits"), 2),
        "revenue_per_visit": ratio(sums.get("revenue"), sums.get("nb_visits"), 2),
        "revenue_per_conversion": ratio(sums.get("revenue"), sums.get("nb_conversions")),
        "avg_order_revenue": ratio(sums.get("revenue"), sums.get("nb_conversions")),
    }
