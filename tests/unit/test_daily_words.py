"""The headline of the daily report, by rule, in each of its cases; what else it says, and when it is worth sending."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.reports.daily.pages import daily_document
from matokit_pipelines.reports.daily.shapes import DailyNumbers, Standing
from tests.daily_scenes import DAY, END, START, history, morning, tries
from tests.weekly_marts import Event, Source

pytestmark = pytest.mark.slow

RATE = "component_failure_rate"
STATISTICS = re.compile(r"significan|p-value|confidence|hypothes|probab|posterior|wilson|\bmust\b", re.IGNORECASE)


def said(numbers: DailyNumbers) -> dict:
    """The sentences as they read, with plain blanks."""
    document = daily_document(numbers)
    return plain(document["findings"])


def plain(value):
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.replace("\u00a0", " ").replace("\u202f", " ")


def broken() -> list[Event]:
    return [
        *history("python_install", 30, 30),
        *tries("python_install", 90, 38),
        *history("latex", 20),
        *tries("latex", 20),
    ]


def test_everything_leads_where_many_components_fail_more_than_chance() -> None:
    names = ("python", "pip", "latex", "conda")
    numbers = morning([one for name in names for one in (*history(name, 10, 30), *tries(name, 25, 10))])
    words = said(numbers)
    assert words["headline_kind"] == "more_than_chance"
    assert words["headline"] == (
        "Everything fails more often, more than chance: 40 of 100 events failed in 24 hours (40.0 %), "
        "2.9 % in the 7 days before."
    )
    assert words["subject"] == "40 of 100 events failed"
    assert words["details"][0].startswith("conda: 10 of 25 events failed (40.0 %), 3.2 % in")
    assert len(words["details"]) == 4
    assert numbers.worth_sending
    assert "met more than chance" in words["why"]


def test_a_component_with_most_of_the_failures_leads_before_everything() -> None:
    numbers = morning(broken())
    assert any(one.subject is None and one.is_sure for one in numbers.triggers)
    assert said(numbers)["subject"] == "python_install 38 of 90 failed"


def test_one_component_more_than_chance_is_named_with_its_numbers() -> None:
    numbers = morning([*broken(), *history("big", 300, 100), *tries("big", 300, 3)])
    words = said(numbers)
    assert (words["headline_kind"], numbers.totals.sure) == ("more_than_chance", 1)
    assert words["headline"] == (
        "python_install: 38 of 90 events failed (42.2 %), 3.3 % in the 28 days before, more than chance."
    )
    assert words["subject"] == "python_install 38 of 90 failed"


def test_several_components_more_than_chance_are_counted() -> None:
    events = [
        *broken(),
        *history("pip", 20, 25),
        *tries("pip", 20, 8),
        *history("big", 900, 100),
        *tries("big", 900, 9),
    ]
    words = said(morning(events))
    assert words["headline"].startswith(
        "2 components fail more than chance; the worst is python_install: 38 of 90 events failed (42.2 %)"
    )
    assert words["subject"] == "2 components, worst python_install 38 of 90 failed"
    assert words["details"][0].startswith("pip: 8 of 20 events failed (40.0 %)")


def test_a_listed_component_of_enough_events_leads_where_no_rule_is_more_than_chance() -> None:
    numbers = morning([*history("conda", 20, 8), *tries("conda", 20, 3), *tries("tiny", 3, 1)])
    words = said(numbers)
    assert words["headline_kind"] == "listed"
    assert words["headline"] == (
        "conda: 3 of 20 events failed (15.0 %), 12.5 % in the 28 days before; the difference could be chance."
    )
    assert [one.row.component for one in numbers.components] == ["conda", "tiny"]


@pytest.mark.parametrize("failed", [1, 2, 3])
def test_few_events_of_which_no_rule_is_sure_are_no_headline(failed: int) -> None:
    numbers = morning([*tries("tiny", 9, failed + 1, machine="same"), *history("latex", 20), *tries("latex", 20)])
    words = said(numbers)
    assert words["headline_kind"] == "could_be_chance"
    assert "tiny" not in words["headline"] + words["subject"]
    assert any("tiny" in one and "fewer than 10 events" in one for one in words["details"])
    assert numbers.worth_sending


def small_and_sure(failed: int = 8, events: int = 8) -> list[Event]:
    """A component that hardly runs and fails at once on as many machines, beside one that is fine."""
    return [*history("x", 3), *tries("x", events, failed), *history("good", 60), *tries("good", 60, 1)]


def test_a_component_of_few_events_that_fails_more_than_chance_leads_with_its_counts() -> None:
    numbers = morning([*small_and_sure(), *history("conda", 40, 8), *tries("conda", 40, 5), *tries("tiny", 3, 1)])
    words = said(numbers)
    assert numbers.components[0].row.counts.small
    assert [one.row.component for one in numbers.components] == ["x", "conda", "tiny"]
    assert (words["headline_kind"], numbers.totals.sure) == ("more_than_chance", 1)
    assert words["headline"] == (
        "x: 8 of 8 events failed on 8 machines, 0.0 % in the 28 days before, more than chance."
    )
    assert words["subject"] == "x 8 of 8 failed"
    assert words["details"][0].startswith("conda: 5 of 40 events failed (12.5 %)")
    assert words["details"][1] == "Above 10 %, but with fewer than 10 events: tiny (1 of 3 failed)."


def test_what_usually_hardly_runs_is_held_against_counts() -> None:
    numbers = morning([*tries("x", 3, start=START - timedelta(days=9)), *tries("x", 8, 8), *history("good", 60)])
    assert said(numbers)["headline"].startswith("x: 8 of 8 events failed on 8 machines, 0 of 3 in the 28 days before")


def test_a_whole_window_of_few_events_that_failed_more_than_chance_is_notable() -> None:
    words = said(morning([*history("x", 3), *tries("x", 5, 5)]))
    assert words["headline"].startswith("x: 5 of 5 events failed on 5 machines")
    spread = [one for name in "abcd" for one in (*history(name, 10), *tries(name, 2, 2))]
    numbers = morning(spread)
    assert numbers.met.more_than_chance
    assert said(numbers)["headline"] == (
        "Everything fails more often, more than chance: 8 of 8 events failed in 24 hours, 0.0 % in the 7 days before."
    )


def test_what_failed_before_a_cut_window_is_told_with_the_hours_of_its_rule() -> None:
    early = tries("x", 12, 12, start=START - timedelta(hours=4), span=timedelta(hours=3))
    fine = [*history("x", 20, end=START - timedelta(hours=6)), *history("good", 60)]
    end = END - timedelta(hours=6)
    gone = morning([*fine, *early, *tries("good", 20)], watermark=end)
    assert [one.row.component for one in gone.components] == []
    assert (gone.totals.sure, said(gone)["headline_kind"]) == (1, "more_than_chance")
    assert said(gone)["headline"].startswith("x: 12 of 12 events failed in 24 hours (100.0 %)")
    some = morning([*fine, *early, *tries("x", 1), *tries("good", 20)], watermark=end)
    assert some.totals.sure == 1
    assert said(some)["headline"].startswith("x: 12 of 13 events failed in 24 hours (92.3 %)")


@pytest.mark.parametrize(("component", "events"), [("x", 8), ("x", 2), ("y", 9), ("y", 5)])
@pytest.mark.parametrize("machines", [1, 3, 9])
def test_nothing_is_called_chance_or_nothing_notable_while_a_rule_is_more_than_chance(
    component: str, events: int, machines: int
) -> None:
    found = [
        Event(START + place * timedelta(hours=1), component, "failure", f"m{place % machines}")
        for place in range(events)
    ]
    numbers = morning([*history("x", 3), *history("good", 20), *tries("good", 30, 1), *found])
    words = said(numbers)
    told = (words["headline"] + words["subject"]).lower()
    assert (words["headline_kind"] == "more_than_chance") == bool(numbers.met.more_than_chance)
    if numbers.met.more_than_chance:
        assert "nothing notable" not in told
        assert "could be chance" not in told
    else:
        assert "more than chance" not in told


def test_many_failures_that_could_be_chance_are_not_called_nothing() -> None:
    words = said(morning([*history("x", 3), *tries("x", 9, 9, machine="same"), *tries("good", 20)]))
    assert words["headline"] == "9 of 29 events failed in all, and the rules that are met could be chance."
    assert words["subject"] == "9 of 29 failed"
    few = said(morning([*history("x", 3), *tries("x", 5, 5, machine="same")]))
    assert few["headline"].startswith("Too few events to tell: 5 of 5 events failed in all")
    assert few["subject"] == "too few events to tell, 5 of 5 failed"


def test_what_could_be_chance_is_one_line() -> None:
    numbers = morning([*history("latex", 50), *tries("latex", 50, 1)])
    words = said(numbers)
    assert words["headline_kind"] == "could_be_chance"
    assert (
        words["headline"]
        == "Nothing notable: 1 of 50 events failed in all, and the rules that are met could be chance."
    )
    assert words["details"] == ["Could be chance: latex (1 of 50 failed in 24 hours)."]
    assert (numbers.met.more_than_chance, numbers.met.could_be_chance, numbers.totals.listed) == (0, 1, 0)
    assert words["verdicts"] == ["too few machines failed"]
    assert "met as could be chance" in words["why"]


def test_all_well_says_so_in_one_line_and_is_not_sent() -> None:
    numbers = morning([*history("latex", 20, 20), *tries("latex", 40, 2)])
    words = said(numbers)
    assert words["headline_kind"] == "all_well"
    assert words["headline"] == "No component failed more than 10 % of its events; 2 of 40 events failed in all."
    assert not words["details"]
    assert not numbers.worth_sending
    assert words["why"].startswith("No component is listed and no rule is met")


@pytest.mark.parametrize(("failed", "kind"), [(4, "all_well"), (5, "listed")])
def test_exactly_ten_percent_is_not_listed(failed: int, kind: str) -> None:
    numbers = morning([*history("latex", 40, 11), *tries("latex", 40, failed)])
    assert said(numbers)["headline_kind"] == kind
    assert numbers.totals.listed == (kind == "listed")


def test_no_events_and_no_data_are_told_apart() -> None:
    silent = said(morning(history("latex", 20)))
    assert silent["headline"] == "No installer reported anything; 140 events came in the 7 days before."
    late = said(morning(broken(), watermark=datetime(2026, 11, 18, 21, 10, tzinfo=UTC)))
    assert late["headline"] == "No data of this window: they end Wed 18 Nov 2026 22:10."
    assert said(morning([], watermark=None))["headline"] == "No data of this window: none have been read yet."
    assert (silent["headline_kind"], late["headline_kind"]) == ("no_events", "no_data")


def test_a_cut_window_says_to_when_it_goes() -> None:
    numbers = morning(broken(), watermark=END - timedelta(minutes=110))
    words = said(numbers)
    assert words["window"] == "Thu 19 Nov 07:00 to Fri 20 Nov 2026 05:10"
    assert words["incomplete"][0] == "data to Fri 20 Nov 2026 05:10."
    assert numbers.window_end == END - timedelta(minutes=110)


def test_what_fires_goes_on_being_more_than_chance_though_its_baseline_holds_it() -> None:
    bad = [tries("latex", 24, 12, start=START - timedelta(days=back)) for back in range(12)]
    events = [*history("latex", 24, 0, days=16, end=START - timedelta(days=12)), *(one for day in bad for one in day)]
    alone = morning(events)
    rule = next(one for one in alone.triggers if one.rule == "component_failure_rate")
    assert rule.is_met
    since = START - timedelta(days=11)
    numbers = morning(events, standing=Standing(firing={("component_failure_rate", "latex"): since}))
    assert said(numbers)["headline_kind"] == "more_than_chance"
    assert "firing since Sun 8 Nov 07:00" in said(numbers)["verdicts"]
    assert numbers.components[0].row.rules == ("component_failure_rate",)


def test_what_is_not_met_any_more_is_told() -> None:
    events = [
        *history("pip", 20, 0, end=START - timedelta(days=1)),
        *tries("pip", 40, 20, start=START - timedelta(days=1)),
    ]
    numbers = morning([*events, *tries("pip", 40)])
    words = said(numbers)
    assert [one.rule for one in numbers.ended if one.subject == "pip"]
    assert any(
        one.startswith("pip (component fails often), firing since Thu 19 Nov 07:00: not met") for one in words["ended"]
    )
    assert any("0 of 40 failed in 24 hours" in one for one in words["ended"])
    assert words["headline_kind"] == "over"
    assert words["headline"] == (
        "Not met any more: everything, pip. No component failed more than 10 % of its events; "
        "0 of 40 events failed in all."
    )
    assert words["subject"] == "not met any more: everything, pip"
    assert words["why"] == f"Sent because {numbers.met.over} rules are not met any more."


def test_an_end_is_sent_once_and_not_where_it_is_silenced() -> None:
    earlier = tries("pip", 40, 20, start=START - timedelta(days=1))
    events = [*history("pip", 20, 0, end=START - timedelta(days=1)), *earlier, *tries("pip", 40)]
    assert morning(events).worth_sending
    silence = Silence(1, {}, START, END + timedelta(hours=5), "a", "known", START)
    assert not morning(events, standing=Standing(silences=(silence,))).worth_sending
    firing = Standing(firing={(RATE, "pip"): START - timedelta(days=1)})
    next_day = [*events, *tries("pip", 40, start=END)]
    again = morning(next_day, day=DAY + timedelta(days=1), watermark=END + timedelta(days=1), standing=firing)
    assert [one.subject for one in again.ended] == ["pip"]
    assert (again.worth_sending, said(again)["headline_kind"]) == (False, "all_well")


def test_what_did_not_run_is_not_told_as_over_until_it_runs_again() -> None:
    earlier = tries("x", 30, 20, start=START - timedelta(days=1))
    fine = [*history("x", 20, 0, end=START - timedelta(days=1)), *history("y", 20), *tries("y", 30)]
    numbers = morning([*fine, *earlier])
    words = said(numbers)
    assert any(one.subject == "x" for one in numbers.ended)
    assert words["headline"] == (
        "No component failed more than 10 % of its events; 0 of 30 events failed in all; x, which fired, did not run."
    )
    assert "not met any more" not in words["headline"] + words["subject"]
    assert [one for one in words["ended"] if one.startswith("x (") and "whether it is over is not known" in one]
    assert not numbers.worth_sending
    nothing = morning([one for one in [*fine, *earlier] if one.event_ts < START])
    assert (nothing.worth_sending, said(nothing)["headline_kind"]) == (False, "no_events")
    firing = Standing(firing={(RATE, "x"): START - timedelta(days=1)})
    next_day = [*fine, *earlier, *tries("x", 20, start=END), *tries("y", 20, start=END)]
    again = morning(next_day, day=DAY + timedelta(days=1), watermark=END + timedelta(days=1), standing=firing)
    assert (again.worth_sending, said(again)["subject"]) == (True, "not met any more: x")


def test_days_before_records_began_are_not_passed_over() -> None:
    events = [*history("latex", 20, 0, days=5), *tries("latex", 40, 2)]
    begun = Source(watermark=END, proven_from=START - timedelta(days=5))
    words = said(morning(events, sources=[begun]))
    assert (
        "Records of installers begin Sat 14 Nov 2026 07:00: the 28 days before, with which this window is compared, "
        "are known from then on."
    ) in words["details"]
    whole = Source(watermark=END, proven_from=START - timedelta(days=28, hours=1))  # the clocks went back
    assert not [one for one in said(morning(events, sources=[whole]))["details"] if one.startswith("Records")]


def test_what_is_silenced_is_shown_and_neither_leads_nor_is_sent() -> None:
    silence = Silence(1, {"component": "python_*"}, START, END + timedelta(hours=5), "a", "known", START)
    events = [
        *history("python_install", 30, 30),
        *tries("python_install", 90, 38),
        *history("b", 900, 99),
        *tries("b", 900, 9),
    ]
    numbers = morning(events, standing=Standing(silences=(silence,)))
    words = said(numbers)
    assert (numbers.worth_sending, words["headline_kind"]) == (False, "all_well")
    assert words["headline"].startswith("Nothing but what is silenced")
    assert numbers.totals.listed_silenced == 1
    assert any("silenced until Fri 20 Nov 12:00" in mark for mark in words["cards"][0]["marks"])


def test_a_guard_that_is_off_and_a_rule_that_is_off_are_named() -> None:
    off = AlertSettings.model_validate(
        {
            "rules": {
                "new_component_failure": {"guard": {"enabled": False}},
                "success_drop_7d": {"enabled": False},
            }
        }
    )
    numbers = morning([*history("latex", 50), *tries("latex", 50, 1)], settings=off)
    words = said(numbers)
    assert "The rule success_drop_7d is switched off." in words["details"]
    assert words["verdicts"] == ["its guard is switched off"]


def test_many_times_the_usual_load_is_a_line() -> None:
    numbers = morning([*history("latex", 20, 20), *tries("latex", 500, 25)])
    line = next(one for one in said(numbers)["details"] if one.startswith("Far more events than usual"))
    assert line == (
        "Far more events than usual: 500 against 20 on the middle one of 28 days; with failures as usual "
        "(5.0 %, 5.0 % in the 28 days before)."
    )
    assert morning([*history("latex", 20, 20), *tries("latex", 79, 3)]).burst is None


def test_ci_that_is_green_while_production_fails_is_said() -> None:
    ci = tries("python_install", 12, 0, environment="ci", machine="ci-{place}")
    words = said(morning([*broken(), *ci]))
    card = words["cards"][0]
    assert card["ci"].endswith("CI green, production failing.")
    red = tries("python_install", 12, 6, environment="ci", machine="ci-{place}")
    assert "production failing" not in said(morning([*broken(), *red]))["cards"][0]["ci"]


def test_no_words_of_statistics() -> None:
    for events in (broken(), history("latex", 20), [*history("latex", 50), *tries("latex", 50, 1)]):
        words = said(morning(events))
        assert not STATISTICS.search(repr(words))


def test_the_label_is_the_day_of_the_morning() -> None:
    numbers = morning(broken())
    assert (numbers.period.label, numbers.period.last_day, numbers.period.end) == ("2026-11-20", DAY, END)


def test_a_component_that_always_fails_so_often_is_not_said_to_have_got_worse() -> None:
    numbers = morning([*history("bad", 12, 2), *tries("bad", 12, 6), *history("big", 60, 60), *tries("big", 60)])
    words = said(numbers)
    assert words["headline"] == (
        "bad: 6 of 12 events failed (50.0 %), 50.0 % in the 28 days before; firing since Thu 19 Nov 07:00."
    )
    assert "worse" not in words["cards"][0]["usual"]


def test_a_rule_met_for_a_rate_that_is_no_rarity_is_not_called_rare() -> None:
    quiet = [*history("bad", 12, 2, end=START - timedelta(days=2)), *tries("bad", 12, 6), *history("big", 60)]
    numbers = morning([*quiet, *tries("big", 60)])
    words = said(numbers)
    place = next(n for n, one in enumerate(numbers.triggers) if (one.rule, one.is_sure) == (RATE, True))
    assert numbers.triggers[place].chance == pytest.approx(0.6, abs=0.1)
    assert words["verdicts"][place] == "surely above its threshold"
    assert words["headline"].endswith("50.0 % in the 28 days before; surely above the threshold of its rule.")
