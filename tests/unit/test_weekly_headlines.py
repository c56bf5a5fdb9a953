"""What the weekly summary says first: each of the four cases by its rule, never more than the numbers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.alerts.period import AlertsOfPeriod, HeldBack, PeriodAlert, named
from matokit_pipelines.reports.marking import Marker
from matokit_pipelines.reports.weekly.numbers import weekly_numbers
from matokit_pipelines.reports.weekly.pages import weekly_document
from matokit_pipelines.reports.weekly.shapes import WeeklyNumbers
from matokit_pipelines.reports.weekly.words import findings
from matokit_pipelines.warehouse.snapshots import open_current
from tests.weekly_marts import HOSTILE, MONDAY, NOW, ZONE, Event, at, publish_events

EARLIER = MONDAY - timedelta(days=7)
FIRED = at(MONDAY + timedelta(days=3), 10)


def tries(day: Any, component: str, successes: int, failures: int, start: int = 0) -> list[Event]:
    """One try each of `successes + failures` machines, through the day."""
    return [
        Event(
            at(day, 8 + 12 * place / (successes + failures)),
            component,
            "failure" if place < failures else "success",
            f"m{day}-{start + place}",
        )
        for place in range(successes + failures)
    ]


STEADY = [*tries(EARLIER, "python_install", 190, 10), *tries(MONDAY, "python_install", 191, 9)]
FALLEN = [*tries(EARLIER, "python_install", 190, 10), *tries(MONDAY, "python_install", 140, 60)]
NEW_FAILING = [
    *tries(EARLIER, "python_install", 500, 0), *tries(MONDAY, "python_install", 500, 0),
    *tries(EARLIER, "conda", 40, 0, 2000), *tries(MONDAY, "conda", 34, 6, 2000),
]  # fmt: skip

FOURTH = [  # even overall: another component improved; what got worse is not among the three with most failures
    event
    for place, (name, well, before, now) in enumerate(
        [("a", 400, 60, 60), ("b", 400, 50, 50), ("c", 400, 45, 45), ("d", 400, 4, 40), ("z", 3000, 30, 0)]
    )
    for event in (
        *tries(EARLIER, name, well, before, 5000 * place),
        *tries(MONDAY, name, well, now, 5000 * place),
    )
]


def with_commit(sha: str, events: list[Event]) -> list[Event]:
    return [replace(event, commit_sha=sha) for event in events]


TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
POOLED = [  # the commit right before the bad one has five events, fewer of them good
    *with_commit("aaaaaaa", [*tries(EARLIER, "p", 300, 6), *tries(MONDAY, "p", 100, 2)]),
    *with_commit("bbbbbbb", tries(TUESDAY, "p", 2, 3)),
    *with_commit("ccccccc", tries(WEDNESDAY, "p", 50, 30)),
]
ALONE = [
    *with_commit("aaaaaaa", [*tries(EARLIER, "p", 300, 6), *tries(MONDAY, "p", 100, 2)]),
    *with_commit("ccccccc", tries(WEDNESDAY, "p", 50, 30)),
]


def alert(**more: Any) -> PeriodAlert:
    values: dict[str, Any] = {
        "rule": "new_failure_pattern", "name": "new failure pattern", "subject": "conda", "environment": "production",
        "severity": "critical", "started_at": FIRED, "ended_at": None, "fired": True, "standing": "firing",
        "failures": 13, "events": 25, "is_silenced": False,
    }  # fmt: skip
    return PeriodAlert(**(values | more))


def week(*alerts: PeriodAlert, **more: Any) -> AlertsOfPeriod:
    firing = sum(one.standing == "firing" for one in alerts)
    values: dict[str, Any] = {
        "known": "all", "known_from": at(EARLIER), "evaluated_to": NOW, "fired": sum(one.fired for one in alerts),
        "recovered": sum(one.standing == "recovered" for one in alerts), "ended_otherwise": 0,
        "still_firing": firing, "silenced": 0, "held_back": 0, "alerts": alerts,
        "installers_firing": sum(one.standing == "firing" for one in named(alerts)),
    }  # fmt: skip
    return AlertsOfPeriod(**(values | more))


Said = Callable[..., tuple[WeeklyNumbers, dict[str, Any]]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """Numbers and sentences, as they are read, of a week of events and alerts; each set of events is counted once."""
    counted: dict[int, WeeklyNumbers] = {}

    def say(events: list[Event], alerts: AlertsOfPeriod | None = None) -> tuple[WeeklyNumbers, dict[str, Any]]:
        if id(events) not in counted:
            home: Path = tmp_path_factory.mktemp("home")
            publish_events(home, events)
            with open_current(home) as snapshot:
                counted[id(events)] = weekly_numbers(snapshot, MONDAY, NOW)
        numbers = replace(counted[id(events)], alerts=alerts)
        return numbers, weekly_document(numbers)["findings"]

    return say


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")


def test_a_firing_alert_comes_before_a_fallen_success_rate(said: Said) -> None:
    _, found = said(FALLEN, week(alert()))
    assert found["headline_kind"] == "alert"
    assert plain(found["headline"]) == (
        "An alert was still firing when the week ended: conda (new failure pattern), since Thu 12 Nov 10:00; "
        "at the worst 13 of 25 events failed."
    )
    assert plain(found["details"][0]).startswith("Success fell to 70.0 % from 95.0 % (-25.0 points), more than chance")
    assert plain(found["subject"]) == ("Installer week 46: conda: alert firing, success 70.0 % (95.0 % before)")


def test_an_alert_that_fired_and_recovered_comes_first_too_and_is_said_to_be_over(said: Said) -> None:
    over = alert(standing="recovered", ended_at=FIRED + timedelta(hours=5))
    _, found = said(STEADY, week(over))
    assert plain(found["headline"]) == (
        "An alert fired and recovered: conda (new failure pattern), Thu 12 Nov 10:00 to 15:00; "
        "at the worst 13 of 25 events failed."
    )
    assert plain(found["details"][0]).startswith("No notable change: 95.5 % of 200 events succeeded")
    assert plain(found["alerts_title"]) == "1 alert fired this week, all of them over"


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ("failures_go_on", "its rule no longer holds, but failures go on."),
        ("no_longer_measurable", "it can no longer be measured."),
    ],
)
def test_an_alert_that_ended_otherwise_is_not_said_to_have_recovered(said: Said, standing: str, words: str) -> None:
    _, found = said(STEADY, week(alert(standing=standing, ended_at=FIRED + timedelta(hours=5))))
    assert found["headline"].endswith(words)
    assert "recovered" not in found["headline"]


def test_others_that_still_fire_are_said_beside_one_that_is_over(said: Said) -> None:
    over = alert(standing="recovered", ended_at=FIRED + timedelta(days=1))
    _, found = said(STEADY, week(over, alert(subject="x", severity="warning", fired=False)))
    assert "Thu 12 Nov 10:00 to Fri 13 Nov 10:00" in plain(found["headline"])
    assert plain(found["headline"]).endswith("; 1 other was still firing when the week ended.")
    assert plain(found["details"][1]) == "1 alert fired this week; 1 was firing when it ended."


def test_what_fires_elsewhere_is_no_other_alert_of_the_headline(said: Said) -> None:
    over = alert(standing="recovered", ended_at=FIRED + timedelta(hours=5))
    stale = alert(rule="data_stale", name="data are old", subject=None, failures=None, events=None)
    _, found = said(STEADY, week(over, stale, alert(environment="ci", subject="x")))
    assert "other" not in found["headline"]


@pytest.mark.parametrize(
    "one",
    [
        alert(environment="ci"),
        alert(rule="data_stale", name="data are old", subject=None, failures=None, events=None),
        alert(standing="not_confirmed", ended_at=FIRED + timedelta(hours=5)),
        alert(fired=False, standing="recovered", ended_at=FIRED),
    ],
    ids=["of ci", "for operators", "not confirmed", "of an earlier week"],
)
def test_an_alert_that_is_not_recent_or_not_of_installers_makes_no_headline(said: Said, one: PeriodAlert) -> None:
    assert said(STEADY, week(one))[1]["headline_kind"] == "steady"


def test_a_rule_over_everything_is_named_and_one_without_counts_names_none(said: Said) -> None:
    silent = alert(rule="no_events", name="no events", subject=None, failures=None, events=None, severity="warning")
    _, found = said(STEADY, week(silent))
    assert plain(found["headline"]) == (
        "An alert was still firing when the week ended: no events, since Thu 12 Nov 10:00."
    )
    assert plain(found["subject"]).startswith("Installer week 46: no events: alert firing")


def test_a_rule_that_counts_first_tries_says_so(said: Said) -> None:
    slow = alert(rule="slow_regression", name="component became worse", severity="warning")
    assert "13 of 25 first tries failed" in plain(said(STEADY, week(slow))[1]["headline"])


def test_without_an_alert_a_change_of_the_success_rate_comes_first(said: Said) -> None:
    _, found = said(FALLEN, week())
    assert found["headline_kind"] == "success_change"
    assert plain(found["headline"]) == "Success fell to 70.0 % from 95.0 % (-25.0 points), more than chance."
    assert plain(found["subject"]) == "Installer week 46: success 70.0 % (95.0 % before), python_install failing"


def test_then_comes_a_component_that_began_to_fail(said: Said) -> None:
    _, found = said(NEW_FAILING, week())
    assert found["headline_kind"] == "new_failing"
    assert plain(found["headline"]) == (
        "conda began to fail: 6 of 40 events, on 6 machines; none of 40 failed the week before."
    )
    assert plain(found["subject"]).endswith("conda began to fail")
    _, with_alert = said(NEW_FAILING, week(alert()))
    assert sum("conda began to fail" in one for one in with_alert["details"]) == 1


def test_else_nothing_notable_changed(said: Said) -> None:
    for alerts in (None, week()):
        _, found = said(STEADY, alerts)
        assert found["headline_kind"] == "steady"
        assert plain(found["headline"]) == (
            "No notable change: 95.5 % of 200 events succeeded (95.0 % the week before)."
        )
        assert plain(found["subject"]) == "Installer week 46: success 95.5 % (95.0 % before), no notable change"
        assert found["details"] == []


def test_a_week_without_events_says_that_first_whatever_fires(said: Said) -> None:
    empty = [Event(at(EARLIER))]
    assert said(empty, week(alert()))[1]["headline_kind"] == "no_events"
    assert said(empty, week(alert()))[1]["subject"] == "Installer week 46: no event"


def test_what_is_not_known_of_alerts_is_never_none(said: Said) -> None:
    unknown = AlertsOfPeriod("nothing", at(MONDAY + timedelta(days=30)), NOW)
    titles = {
        "off": said(STEADY, None)[1]["alerts_title"],
        "old": said(STEADY, unknown)[1]["alerts_title"],
        "part": said(STEADY, week(known="part"))[1]["alerts_title"],
        "all": said(STEADY, week())[1]["alerts_title"],
    }
    assert titles == {
        "off": "Nothing is known of this week's alerts",
        "old": "The alerts of this week are no longer known",
        "part": "No alert fired in the part of the week that is known",
        "all": "No alert fired",
    }
    assert said(STEADY, week())[1]["alerts_known"] is None
    assert "ninety days" in said(STEADY, unknown)[1]["alerts_known"]


def test_sentences_hold_hostile_names_as_they_are_and_every_place_is_in_the_document(said: Said) -> None:
    odd = HeldBack("arch_gap", "one architecture fails more often", "{a|b}", "production", FIRED, FIRED, 3, 9)
    numbers, found = said(STEADY, week(alert(subject=f"{HOSTILE}{{now|day}}"), held_back=1, held_back_named=(odd,)))
    assert f"{HOSTILE}{{now|day}}" in found["headline"]
    marker = Marker(weekly_document(numbers), ZONE, html=True)
    assert "<!channel>" not in marker.say(findings(numbers).headline)


def test_a_subject_never_names_a_component_that_could_have_failed_by_chance(said: Said) -> None:
    events = [*tries(EARLIER, "python_install", 95, 5), *tries(MONDAY, "python_install", 93, 7)]
    assert "python_install" not in said(events, week())[1]["subject"]


def test_a_component_that_got_worse_is_named_however_many_fail_more_often(said: Said) -> None:
    numbers, found = said(FOURTH, week())
    assert [row.component for row in numbers.failing.rows] == ["a", "b", "c"]
    assert [row.component for row in numbers.failing.worse] == ["d"]
    assert numbers.totals.verdict == "could be chance"
    assert found["headline"].startswith("No notable change overall, but single components got worse")
    assert plain(found["details"][0]) == (
        "d got worse, more than chance: 40 of 440 events failed; the week before 4 of 404."
    )
    assert found["subject"].endswith(", d failing")
    assert "notable" not in found["subject"]


def test_of_very_many_components_that_got_worse_the_others_are_counted(said: Said) -> None:
    events = [
        event
        for place in range(7)
        for event in (
            *tries(EARLIER, f"c{place}", 96, 4, 1000 * place),
            *tries(MONDAY, f"c{place}", 50, 50 + place, 1000 * place),
        )
    ]
    numbers, found = said(events, week())
    assert [row.component for row in numbers.failing.worse] == ["c6", "c5", "c4", "c3", "c2"]
    assert numbers.failing.more_worse == 2
    assert plain(found["details"][5]) == "2 other components got worse too, more than chance."


def test_a_commit_is_said_to_be_worse_than_those_it_was_held_against(said: Said) -> None:
    numbers, found = said(POOLED, week())
    commit = numbers.commits.rows[0]
    assert (commit.commit_sha, commit.predecessor_sha, commit.baseline_commits) == ("ccccccc", "bbbbbbb", 2)
    assert commit.success_rate is None
    assert plain(found["commits_title"]) == "Commit ccccccc did worse than the 2 commits before it, more than chance"
    [sentence] = [one for one in map(plain, found["details"]) if one.startswith("Commit ccccccc")]
    assert sentence == (
        "Commit ccccccc, first seen Wed 11 Nov 08:00, did worse in its first 24 hours than the 2 commits before it, "
        f"more than chance: 30 of 80 first tries failed (37.5 %), before it 5 of {commit.baseline_units} "
        f"({100 * (commit.expected_share or 0):.1f} % at the same mix of components)."
    )
    assert "bbbbbbb" not in sentence


def test_a_commit_held_against_one_other_names_it(said: Said) -> None:
    _, found = said(ALONE, week())
    assert plain(found["commits_title"]) == "Commit ccccccc did worse than aaaaaaa before it, more than chance"
