"""Reports on the simulated web site have the keys and JSON types of recorded ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.matomo_web_asking import Asking, asking, recording

# A report with rows in which these keys depend on what the visits did.
MAY_LACK = {"goals", "nb_conversions", "revenue", "subtable", "idsubdatatable", "url", "logo"}
MAY_LACK |= {f"{place}{name}" for place in ("entry_", "exit_") for name in ("nb_uniq_visitors", "nb_visits")}
MAY_LACK |= {f"sum_daily_{place}_nb_uniq_visitors" for place in ("entry", "exit")}
MAY_LACK |= {"entry_nb_actions", "entry_sum_visit_length", "entry_bounce_count", "Actions_PageUrl", "segment"}
# No visitor of ours searches the site.
NOT_SIMULATED = {"nb_hits_following_search"}
# A count that one (category, action, name) alone makes up comes as a text, another one as a number.
EITHER = {"nb_visits", "nb_events", "nb_events_with_value"}


@pytest.fixture(scope="module")
def ask() -> Iterator[Asking]:
    with asking() as made:
        yield made


def kind(value: Any) -> str:
    """The JSON type: whole numbers and others are one."""
    if isinstance(value, bool) or value is None:
        return str(value)
    return {int: "number", float: "number", str: "text", list: "list", dict: "dict"}[type(value)]


def kinds(rows: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The types of each key over all rows."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for key, value in row.items():
            found.setdefault(key, set()).add(kind(value))
    return found


def check_rows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], method: str) -> None:
    made, known = kinds(ours), kinds(theirs)
    assert made.keys() <= known.keys(), "keys that no recorded row has"
    always = {key for key in known if all(key in row for row in theirs)} - MAY_LACK - NOT_SIMULATED
    assert not [sorted(always - row.keys()) for row in ours if always - row.keys()], "keys that recorded rows have"
    for key, found in made.items():
        allowed = known[key] | ({"number", "text"} if method.startswith("Events.") and key in EITHER else set())
        # Labels of digits alone are numbers; a view without an address has a null one, and events without a value
        # have no least and no greatest one.
        none = {"url": {"None"}, "min_event_value": {"None"}, "max_event_value": {"None"}}
        allowed |= {"label": {"number"}, **none}.get(key, set())
        assert found <= allowed, f"{key}: {found}, recorded {known[key]}"
    for name in ("goals", "subtable"):
        if name in made and name in known:
            check_inside([row[name] for row in ours if name in row], [row[name] for row in theirs if name in row])


def check_inside(ours: list[Any], theirs: list[Any]) -> None:
    """Goals in rows: all ours have keys that one of its kind has in a recorded row, of the same types."""
    if isinstance(ours[0], list):
        check_rows([row for one in ours for row in one], [row for one in theirs for row in one], "Events.")
        return
    for ecommerce in ("ecommerceOrder", "ecommerceAbandonedCart", ""):

        def of(goal: str, wanted: str = ecommerce) -> bool:
            return goal.removeprefix("idgoal=") == wanted if wanted else goal.removeprefix("idgoal=").isdigit()

        made = kinds([one for goals in ours for goal, one in goals.items() if of(goal)])
        known = kinds([one for goals in theirs for goal, one in goals.items() if of(goal)])
        if made and known:
            # Depends on where in the tree the pages lie.
            made.pop("nb_conversions_page_rate", None), known.pop("nb_conversions_page_rate", None)
            assert made == known


def check(ours: Any, theirs: Any, method: str) -> None:
    assert kind(ours) == kind(theirs)
    if isinstance(theirs, list):
        assert bool(ours) == bool(theirs)
        check_rows(ours, theirs, method)
    elif all(isinstance(value, (list, dict)) for value in theirs.values()):
        for key, value in theirs.items():
            if key in ours and value and ours[key]:
                check(ours[key], value, method)
    else:
        assert {key: kind(value) for key, value in ours.items()} == {key: kind(v) for key, v in theirs.items()}


NAMES = [
    "Actions.get", "Actions.getEntryPageUrls.flat", "Actions.getPageUrls.flat", "Actions.getPageUrls.flat-multi",
    "Actions.getPageUrls.showcolumns", "Actions.getPageUrls.sorted", "DevicesDetection.getType", "Events.getAction",
    "Events.getAction.secondaryDimension-eventName.flat", "Events.getCategory", "Events.getCategory.range",
    "Events.getCategory.day-multi", "Events.getCategory.secondaryDimension-eventName",
    "Events.getCategory.secondaryDimension-eventName.flat", "Events.getName",
    "Events.getName.secondaryDimension-eventAction.flat", "Events.getName.secondaryDimension-eventCategory.flat",
    "Goals.get", "Goals.get.ecommerceAbandonedCart", "Goals.get.ecommerceOrder", "Goals.get.format_metrics0",
    "Goals.get.idGoal1", "Goals.get.idGoal2.multi", "Goals.get.unknown-goal", "Referrers.getAll",
    "Referrers.getCampaigns", "Referrers.getReferrerType", "Referrers.getReferrerType.day-multi",
    "Referrers.getReferrerType.format_metrics0", "VisitsSummary.get.all-sites", "VisitsSummary.get.month-multi",
    "VisitsSummary.get.range-last7", "VisitsSummary.get.segment", "VisitsSummary.get.two-sites",
    "VisitsSummary.get.two-sites-multi", "VisitsSummary.get.week", "VisitsSummary.get.week-multi",
    "VisitsSummary.get.year", "VisitsSummary.get.day", "VisitsSummary.get.range", "VisitsSummary.get.one-column",
    "VisitsSummary.get.one-column-multi",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_types_are_those_recorded(ask: Asking, name: str) -> None:
    wanted = recording(name)
    method = wanted["request"]["method"]
    check(ask.send({"method": method, **wanted["request"]["params"]}).json(), wanted["body"], method)


OF_ANY_SITE = [name for name in NAMES if name.startswith(("VisitsSummary", "Events", "Goals", "Devices"))]
OF_ANY_SITE += ["Actions.get", "Referrers.getReferrerType", "Referrers.getReferrerType.day-multi"]


@pytest.mark.parametrize("name", OF_ANY_SITE)
def test_they_are_the_same_for_a_site_of_the_other_kind(ask: Asking, name: str) -> None:
    wanted = recording(name)
    method, params = wanted["request"]["method"], dict(wanted["request"]["params"])
    params["idSite"] = {1: 2, 2: 1}.get(params["idSite"], params["idSite"])
    check(ask.send({"method": method, **params}).json(), wanted["body"], method)


@pytest.mark.parametrize(
    "name",
    [
        "Goals.get.empty",
        "Goals.get.day-multi-empty",
        "Referrers.getCampaigns.empty",
        "Actions.getPageUrls.flat-empty",
        "Live.getLastVisitsDetails.empty-site",
        "VisitsSummary.get.no-data-day",
        "VisitsSummary.get.no-data-multi",
        "Goals.get.site-without-ecommerce",
        "Goals.getGoals.none",
    ],
)
def test_nothing_is_answered_as_recorded(ask: Asking, name: str) -> None:
    wanted = recording(name)
    before = {"day": "2026-08-18", "range": "2026-08-11,2026-08-20"}
    params = dict(wanted["request"]["params"])
    if "," in str(params.get("date", "")):
        keys = list(wanted["body"])
        params["date"] = ",".join((keys[0], keys[-1])).replace("2026-1", "2025-1")
        wanted["body"] = {key.replace("2026-1", "2025-1"): value for key, value in wanted["body"].items()}
    elif "date" in params:
        params["date"] = before[params["period"]]
    params["idSite"] = 1 if name in ("Goals.get.site-without-ecommerce", "Goals.getGoals.none") else 2
    assert ask.send({"method": wanted["request"]["method"], **params}).json() == wanted["body"]


def test_an_unknown_second_dimension_is_refused_as_recorded(ask: Asking) -> None:
    wanted = recording("Events.getCategory.bad-secondaryDimension")
    assert ask.send({"method": "Events.getCategory", **wanted["request"]["params"]}).json() == wanted["body"]


def test_goals_are_described_as_recorded(ask: Asking) -> None:
    ours, theirs = ask("Goals.getGoals"), recording("Goals.getGoals")["body"]
    assert ours[:2] == theirs
    # One that is reached by hand has no pattern.
    assert theirs[0].keys() - ours[2].keys() == {"pattern", "pattern_type", "case_sensitive"}


def test_sites_are_listed_with_the_keys_recorded(ask: Asking) -> None:
    theirs = recording("SitesManager.getSitesWithAtLeastViewAccess.view-token")["body"][0]
    first, second = ask("SitesManager.getSitesWithAtLeastViewAccess")
    assert first.keys() == second.keys() == theirs.keys()
    assert [(one["idsite"], one["currency"], one["ecommerce"]) for one in (first, second)] == [
        (1, "DKK", 0),
        (2, "EUR", 1),
    ]
    assert ask("SitesManager.getSiteFromId") == second
    assert ask("SitesManager.getSitesIdWithAtLeastViewAccess") == [1, 2]


@pytest.mark.parametrize("name", ["site2", "site2-ecommerce"])
def test_visits_of_the_web_site_are_written_as_recorded(ask: Asking, name: str) -> None:
    theirs = recording(f"Live.getLastVisitsDetails.{name}")["body"]
    ours = ask("Live.getLastVisitsDetails", period="day", date="2026-11-18", filter_limit=50)
    assert len(ours) == 50
    keys = theirs[0].keys()
    assert all(row.keys() == keys for row in ours)
    known: dict[str, dict[str, Any]] = {}
    for row in theirs:
        for action in row["actionDetails"]:
            known.setdefault(action["type"], {}).update(action)
    seen = set()
    for row in ours:
        for action in row["actionDetails"]:
            if action["type"] in known:
                seen.add(action["type"])
                assert action.keys() <= known[action["type"]].keys()
    assert seen >= ({"action", "goal", "event"} if name == "site2" else {"action", "ecommerceOrder"})


def test_a_bulk_of_reports_is_answered_in_order(ask: Asking) -> None:
    asked = [
        "method=Actions.get&idSite=2&period=day&date=2026-11-18",
        "method=Referrers.getAll&idSite=2&period=week&date=2026-11-18&filter_limit=2",
        "method=Nope.nope",
        "method=Goals.get&idSite=1,2&period=day&date=2026-11-18",
    ]
    params = {"method": "API.getBulkRequest", "format": "json"} | {f"urls[{n}]": url for n, url in enumerate(asked)}
    actions, referrers, error, goals = ask.send(params).json()
    assert actions == ask("Actions.get", period="day", date="2026-11-18")
    assert referrers == ask("Referrers.getAll", period="week", date="2026-11-18", filter_limit=2)
    assert error["result"] == "error"
    assert goals.keys() == {"1", "2"}
