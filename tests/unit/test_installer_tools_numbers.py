"""Numbers of the installer tools beside the same numbers in plain Python, on random small histories and questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.simulator import generate
from matokit_pipelines.toolserver.kit import Kit
from tests import page_homes, plain_marts
from tests.dashboard_marts import landed_truth
from tests.installer_tools import NOW, ask, kit_of
from tests.plain_truth import Event, Site, chances, events_of, first_tries, rates

ALPHA, ENOUGH = 0.01, 10
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@dataclass(frozen=True)
class Known:
    """A home behind a kit, and what was sent to it."""

    kit: Kit
    site: Site


@pytest.fixture(scope="module", params=[3, 8], ids=lambda seed: f"seed-{seed}")
def known(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    truth = generate(days=40, events_per_day=45, seed=request.param, end=NOW, zone=str(page_homes.ZONE))
    rows = landed_truth(truth)
    folder = tmp_path_factory.mktemp("numbers")
    page_homes.home_of(folder, rows)
    first = rows["event_ts"].min()
    assert first is not None
    last = NOW.astimezone(page_homes.ZONE).date() - timedelta(days=1)
    began = first.astimezone(page_homes.ZONE).date()  # type: ignore[union-attr]
    site = Site(events_of({"installers": truth}), began, last, NOW - timedelta(minutes=10))
    with kit_of(folder) as kit:
        yield Known(kit, site)


def fits(event: Event, asked: dict[str, Any]) -> bool:
    """Whether an event is asked for."""
    wanted = asked.get("os")
    return (
        asked["environment"] in ("all", event.environment)
        and asked.get("component") in (None, event.component)
        and asked.get("architecture") in (None, event.architecture)
        and wanted in (None, event.os_family, event.os_release)
    )


def chosen(site: Site, asked: dict[str, Any], first: date, last: date) -> list[Event]:
    """The events of these days that are asked for, in order."""
    found = [e for e in site.counted() if first <= e.day <= last and fits(e, asked)]
    return sorted(found, key=lambda e: e.at)


def assert_figures(row: dict[str, Any], events: list[Event]) -> None:
    for name, value in rates(events).items():
        assert row[name] == (pytest.approx(value, abs=6e-5) if isinstance(value, float) else value), name


def units_of_days(events: list[Event]) -> list[Event]:
    """First tries of each day."""
    days: dict[date, list[Event]] = {}
    for event in events:
        days.setdefault(event.day, []).append(event)
    return [unit for group in days.values() for unit in first_tries(group)]


def keys_are_shared(site: Site, first: date, last: date, environment: str) -> bool:
    """Whether the largest machines of the weeks hold more than 30 % of their events."""
    weeks: dict[date, Counter[Any]] = {}
    for event in site.counted(environment):
        if plain_marts.monday(first) <= plain_marts.monday(event.day) <= last:
            weeks.setdefault(plain_marts.monday(event.day), Counter())[event.machine] += 1
    events = sum(week.total() for week in weeks.values())
    return sum(max(week.values()) for week in weeks.values()) > 0.3 * events


def halves(events: list[Event]) -> list[Event]:
    """Of each component half the events, failures rounded down and events up."""
    found: list[Event] = []
    for name in {e.component for e in events}:
        of = [e for e in events if e.component == name]
        kept = sum(e.failed for e in of) // 2
        well = -(-len(of) // 2) - kept
        found += [replace(of[0], outcome="failure")] * kept + [replace(of[0], outcome="success")] * well
    return found


KEYS = {
    "component": lambda e: e.component, "architecture": lambda e: e.architecture, "os": lambda e: e.os_family,
    "os_release": lambda e: e.os_release, "environment": lambda e: e.environment,
}  # fmt: skip


@QUICK
@given(data=st.data())
def test_success_by_any_cut(known: Known, data: st.DataObject) -> None:
    site = known.site
    components = sorted({e.component for e in site.counted()})
    asked: dict[str, Any] = {"environment": data.draw(st.sampled_from(["production", "ci", "all"]))}
    for name, choices in {
        "component": components,
        "architecture": ["arm64", "x86_64"],
        "os": sorted({e.os_family for e in site.counted()} | {e.os_release for e in site.counted()}),
    }.items():
        if data.draw(st.booleans(), name):
            asked[name] = data.draw(st.sampled_from(choices))
    by = data.draw(st.sampled_from(["none", "day", *KEYS]))
    length = data.draw(st.integers(1, 30))
    last = site.last - timedelta(days=data.draw(st.integers(0, 20)))
    first = last - timedelta(days=length - 1)
    answer = ask(
        known.kit, "GetInstallerSuccessRate", **asked, by=by, fromDate=str(first), toDate=str(last), compare="previous",
        limit=100,
    )  # fmt: skip
    events = chosen(site, asked, first, last)
    before = chosen(site, asked, first - timedelta(days=length), first - timedelta(days=1))
    assert (answer["first_day"], answer["last_day"]) == (str(first), str(last))
    assert answer["previous_first_day"] == str(first - timedelta(days=length))
    assert_figures(answer["total"], events)
    assert (answer["total"]["previous_events"], answer["total"]["previous_failures"]) == (
        len(before),
        sum(e.failed for e in before),
    )
    if by == "day":
        whole = {str(first + timedelta(days=n)) for n in range(length) if first + timedelta(days=n) >= site.first_known}
        assert {row["name"] for row in answer["rows"]} == whole
        for row in answer["rows"]:
            of = [e for e in events if str(e.day) == row["name"]]
            assert (row["events"], row["failures"]) == (len(of), sum(e.failed for e in of))
            assert row["success_rate"] is None if not of else row["success_rate"] is not None
    elif by != "none":
        assert [row["name"] for row in answer["rows"]] == [
            name for name, _ in sorted(Counter(map(KEYS[by], events)).items(), key=lambda one: (-one[1], one[0]))
        ]
        for row in answer["rows"]:
            of, old = ([e for e in side if KEYS[by](e) == row["name"]] for side in (events, before))
            assert_figures(row, of)
            assert (row["previous_events"], row["previous_failures"]) == (len(old), sum(e.failed for e in old))


@QUICK
@given(length=st.integers(1, 15), back=st.integers(0, 9), environment=st.sampled_from(["production", "ci"]))
def test_more_than_chance_is_judged_on_first_tries(known: Known, length: int, back: int, environment: str) -> None:
    last = known.site.last - timedelta(days=back)
    first = last - timedelta(days=length - 1)
    answer = ask(
        known.kit, "GetInstallerSuccessRate", fromDate=str(first), toDate=str(last), compare="previous",
        environment=environment,
    )["total"]  # fmt: skip
    asked = {"environment": environment}
    is_week = length == 7 and first.weekday() == 0
    sides = [
        chosen(known.site, asked, start, start + timedelta(days=length - 1))
        for start in (first, first - timedelta(days=length))
    ]
    if keys_are_shared(known.site, first, last, environment):
        now, before = (halves(side) for side in sides)
    else:
        now, before = (first_tries(side) if is_week else units_of_days(side) for side in sides)
    if min(len(now), len(before)) < ENOUGH:
        assert answer["verdict"] == "too few"
        return
    worse, better = chances(now, before, mixed=True)
    expected = "worse" if worse < ALPHA else "better" if better < ALPHA else "could be chance"
    assert answer["verdict"] == expected
    likely = {"worse": worse, "better": better}.get(expected, min(worse, better))
    assert answer["chance"] == pytest.approx(likely, rel=0.06, abs=1e-9)


@QUICK
@given(length=st.integers(1, 30), environment=st.sampled_from(["production", "all"]), one=st.booleans())
def test_error_types_are_the_failures(known: Known, length: int, environment: str, one: bool) -> None:
    asked: dict[str, Any] = {"environment": environment} | ({"component": "packages"} if one else {})
    answer = ask(known.kit, "GetErrorTypes", days=length, limit=50, compare="previous", **asked)
    first = known.site.last - timedelta(days=length - 1)
    events = chosen(known.site, asked, first, known.site.last)
    kinds = Counter(e.error_type for e in events if e.failed)
    assert {row["error_type"]: row["failures"] for row in answer["rows"] if row["failures"]} == kinds
    assert (answer["events"], answer["failures"]) == (len(events), sum(kinds.values()))
    for row in answer["rows"]:
        of = Counter(e.component for e in events if e.failed and e.error_type == row["error_type"])
        most = sorted(of.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        assert [(part["component"], part["failures"]) for part in row["components"]] == most


def test_components_have_their_counts_errors_and_durations(known: Known) -> None:
    answer = ask(known.kit, "GetComponentHealth", days=30, limit=50)
    first = known.site.last - timedelta(days=29)
    events = chosen(known.site, {"environment": "production"}, first, known.site.last)
    took = {
        row["component"]: row
        for row in plain_marts.duration_window(known.site)
        if (row["window_days"], row["environment"], row["architecture"]) == (30, "production", "all")
    }
    assert {row["component"] for row in answer["rows"]} == {e.component for e in events}
    for row in answer["rows"]:
        of = [e for e in events if e.component == row["component"]]
        assert_figures(row, of)
        kinds = Counter(e.error_type for e in of if e.failed)
        assert row["error_type_failures"] == max(kinds.values(), default=0)
        assert row["median_s"] == (took[row["component"]]["median_s"] if row["component"] in took else None)


def test_one_component_has_days_and_systems(known: Known) -> None:
    answer = ask(known.kit, "GetComponentHealth", component="python_install", days=20)
    first = known.site.last - timedelta(days=19)
    events = chosen(known.site, {"environment": "production", "component": "python_install"}, first, known.site.last)
    for day in answer["facts"]["trend"]:
        of = [e for e in events if str(e.day) == day["day"]]
        assert (day["events"], day["failures"]) == (len(of), sum(e.failed for e in of))
    assert len(answer["facts"]["trend"]) == 20
    for part, key in (("architectures", "architecture"), ("os_releases", "os_release")):
        for row in answer["facts"][part]:
            of = [e for e in events if getattr(e, key) == row["name"]]
            assert (row["events"], row["failures"]) == (len(of), sum(e.failed for e in of))


@pytest.mark.parametrize(
    ("tool", "key"), [("GetArchitectureCompatibility", "architecture"), ("GetOsCompatibility", "os_release")]
)
def test_systems_stand_beside_all_others(known: Known, tool: str, key: str) -> None:
    answer = ask(known.kit, tool, days=25, limit=50)
    first = known.site.last - timedelta(days=24)
    events = chosen(known.site, {"environment": "production"}, first, known.site.last)
    assert {row["name"] for row in answer["rows"]} == {getattr(e, key) for e in events}
    for row in answer["rows"]:
        own = [e for e in events if getattr(e, key) == row["name"]]
        others = [e for e in events if getattr(e, key) not in (row["name"], "unknown")]
        assert_figures(row, own)
        assert row["others_success_rate"] == pytest.approx(rates(others)["success_rate"], abs=6e-5)
        worst = Counter(e.component for e in own if e.failed)
        assert row["worst_component_failures"] == max(worst.values(), default=0)
        if key == "os_release":
            ever = min(e.at for e in known.site.counted("production") if e.os_release == row["name"])
            assert row["first_seen"] == ever.strftime("%Y-%m-%dT%H:%M:%SZ")
            newest = known.site.last - timedelta(days=6)
            day = ever.astimezone(page_homes.ZONE).date()
            assert row["is_new"] == (day >= newest and day > known.site.first_known)
        if row["against_others"] == "worse":
            worse, _ = chances(units_of_days(own), units_of_days(others), mixed=True)
            assert worse < ALPHA


def test_commits_are_those_of_the_marts_in_plain_python(known: Known) -> None:
    answer = ask(known.kit, "GetCommitRegressions", days=40, limit=50)
    plain = {row["commit_sha"]: row for row in plain_marts.commit_regression(known.site)}
    assert answer["rows"]
    for row in answer["rows"]:
        expected = plain[row["commit"]]
        assert (row["events"], row["failures"]) == (expected["events"], expected["failures"])
        assert row["verdict"] == expected["verdict"]
        assert row["predecessor"] == expected["predecessor_sha"]
    assert answer["worse"] == sum(row["verdict"] == "worse" for row in answer["rows"])


@pytest.mark.parametrize("days", [1, 7, 30, 90])
def test_durations_are_exact(known: Known, days: int) -> None:
    answer = ask(known.kit, "GetDurations", days=days, limit=50)
    plain = {
        row["component"]: row
        for row in plain_marts.duration_window(known.site)
        if (row["window_days"], row["environment"], row["architecture"]) == (days, "production", "all")
    }
    names = ("events", "median_s", "p75_s", "p90_s", "p95_s", "max_s")
    assert {row["component"]: [row[name] for name in names] for row in answer["rows"]} == {
        name: [row[key] for key in names] for name, row in plain.items()
    }
