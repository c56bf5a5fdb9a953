"""The numbers of the weekly summary: definitions, comparisons, and the weeks that are not like others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from matokit_pipelines.reports.shapes import KnownLoss
from matokit_pipelines.reports.weekly.commits import COMMITS_SHOWN, DEPLOYMENTS_SHOWN
from matokit_pipelines.reports.weekly.numbers import weekly_numbers
from matokit_pipelines.reports.weekly.words import findings
from matokit_pipelines.warehouse.snapshots import open_current
from tests.weekly_marts import MONDAY, NOW, Event, Source, at, publish_events, seeded_weeks

pytestmark = pytest.mark.slow

EARLIER = MONDAY - timedelta(days=7)


def tries(day, component, successes, failures, *, start=0, commit="a1b2c3d", **more):
    """One try each of `successes + failures` machines, through the day."""
    return [
        Event(
            at(day, 8 + 12 * place / (successes + failures)),
            component,
            "failure" if place < failures else "success",
            f"m{day}-{start + place}",
            commit_sha=commit,
            **more,
        )
        for place in range(successes + failures)
    ]


@pytest.fixture
def numbers_of(tmp_path):
    """Publish events in a home of their own and count the reported week from them."""

    def count(events, sources=None, monday=MONDAY):
        home = tmp_path / f"home-{len(list(tmp_path.iterdir()))}"
        publish_events(home, events, sources or [Source()])
        with open_current(home) as snapshot:
            return weekly_numbers(snapshot, monday, NOW)

    return count


def test_tables_add_up_to_the_tiles(numbers_of):
    numbers = numbers_of(seeded_weeks(days=20, runs_a_day=15))
    this_week = numbers.totals.this_week
    days = [day for day in numbers.days if day.day >= MONDAY]
    assert sum(day.rates.events for day in days) == this_week.rates.events > 100
    assert sum(day.rates.failures for day in days) == this_week.rates.failures == numbers.failing.failures
    assert sum(day.installations for day in days) == this_week.installations == numbers.adoption.weeks[-1].installations
    assert sum(row.shares[-1].installations for row in numbers.adoption.architectures) == this_week.installations
    assert sum(row.shares[-1].share for row in numbers.adoption.architectures) == pytest.approx(1)
    assert sum(day.rates.failures for day in numbers.days) - this_week.rates.failures == numbers.failing.failures_before
    assert numbers.quality.landed == numbers.quality.counted + sum(row.rows for row in numbers.quality.left_out)


def test_the_week_is_monday_to_sunday_of_the_projects_zone(numbers_of):
    edges = [
        Event(at(MONDAY, 0), machine_key="first"),
        Event(at(MONDAY, 0) - timedelta(seconds=1), machine_key="before"),
        Event(at(MONDAY + timedelta(days=7), 0) - timedelta(seconds=1), machine_key="last"),
        Event(at(MONDAY + timedelta(days=7), 0), machine_key="after"),
    ]
    numbers = numbers_of(edges)
    assert numbers.totals.this_week.rates.events == 2
    assert numbers.totals.week_before.rates.events == 1
    assert (numbers.days[-1].rates.events, numbers.days[7].rates.events, numbers.days[6].rates.events) == (1, 1, 1)


def test_only_production_is_counted(numbers_of):
    events = [Event(at(MONDAY), environment=name) for name in ("ci", "test", "development", "production")]
    assert numbers_of(events).totals.this_week.rates.events == 1


def test_a_fall_of_the_success_rate_makes_the_headline(numbers_of):
    numbers = numbers_of(tries(EARLIER, "python_install", 190, 10) + tries(MONDAY, "python_install", 140, 60))
    assert numbers.totals.verdict == "worse"
    assert numbers.totals.success_rate == pytest.approx(-0.25)
    said = findings(numbers)
    assert said.headline_kind == "success_change"
    assert "fell" in said.headline


def test_the_same_rates_from_one_machine_could_be_chance(numbers_of):
    """Sixty failures of one machine are one unit; so are its successes."""
    broken = [replace(event, machine_key="one") for event in tries(MONDAY, "python_install", 0, 60)]
    numbers = numbers_of(tries(EARLIER, "python_install", 390, 10) + tries(MONDAY, "python_install", 140, 0) + broken)
    assert numbers.totals.verdict == "could be chance"
    assert findings(numbers).headline_kind == "steady"


def test_another_mix_of_components_is_no_change(numbers_of):
    before = tries(EARLIER, "safe", 400, 0) + tries(EARLIER, "fragile", 75, 25, start=1000)
    now = tries(MONDAY, "safe", 100, 0) + tries(MONDAY, "fragile", 300, 100, start=1000)
    numbers = numbers_of(before + now)
    assert numbers.totals.success_rate == pytest.approx(0.8 - 0.95)
    assert numbers.totals.verdict == "could be chance"


def test_a_calm_whole_does_not_hide_a_component_that_got_worse(numbers_of):
    safe = [*tries(EARLIER, "safe", 3000, 60), *tries(MONDAY, "safe", 3000, 50)]
    numbers = numbers_of(
        [*safe, *tries(EARLIER, "conda", 55, 5, start=5000), *tries(MONDAY, "conda", 40, 20, start=5000)]
    )
    said = findings(numbers)
    assert (numbers.failing.rows[1].component, numbers.failing.rows[1].verdict) == ("conda", "worse")
    assert said.headline_kind == "steady"
    assert said.headline.startswith("No notable change overall, but single components got worse")
    assert "failing.worse.0.component" in said.details[0]


def test_keys_that_are_no_machines_are_not_compared_as_machines(numbers_of):
    shared = [replace(event, machine_key="campus") for event in tries(EARLIER, "python_install", 190, 10)] + [
        replace(event, machine_key="campus") for event in tries(MONDAY, "python_install", 120, 80)
    ]
    numbers = numbers_of(shared)
    assert numbers.quality.shared_keys
    assert numbers.totals.verdict == "worse"
    assert any("machines cannot be told apart" in one for one in findings(numbers).details)


def test_a_component_that_began_to_fail_makes_the_headline_only_when_enough_machines_say_so(numbers_of):
    steady = [*tries(EARLIER, "safe", 500, 0), *tries(MONDAY, "safe", 500, 0)]
    history = tries(EARLIER, "conda", 40, 0, start=2000)
    numbers = numbers_of([*steady, *history, *tries(MONDAY, "conda", 34, 6, start=2000)])
    assert [row.component for row in numbers.new_failing] == ["conda"]
    assert numbers.new_failing[0].machines_failing == 6


def test_a_component_that_did_not_run_before_is_not_said_to_have_worked(numbers_of):
    numbers = numbers_of(
        [*tries(EARLIER, "safe", 500, 0), *tries(MONDAY, "conda", 10, 10), *tries(MONDAY, "safe", 500, 0)]
    )
    said = findings(numbers)
    assert "did not run the week before" in said.headline + " ".join(said.details)


def test_in_the_first_week_of_all_nothing_is_new(numbers_of):
    numbers = numbers_of(tries(MONDAY, "conda", 10, 10))
    assert numbers.new_failing == ()
    assert findings(numbers).headline_kind == "first_week"
    assert findings(numbers).details == ()


def test_a_small_number_never_stands_first(numbers_of):
    numbers = numbers_of([*tries(MONDAY, "rare", 0, 9), *tries(MONDAY, "usual", 98, 2, start=100)])
    assert [row.component for row in numbers.failing.rows] == ["usual", "rare"]
    assert numbers.failing.rows[1].this_week.small
    assert numbers.new_failing == ()


def test_failures_of_small_numbers_make_no_chart_title(numbers_of):
    assert findings(numbers_of(tries(MONDAY, "rare", 0, 9))).failing_title.startswith("Only components with fewer")


def test_components_with_as_many_failures_stand_by_name_and_are_not_padded(numbers_of):
    numbers = numbers_of(
        [*tries(MONDAY, "b", 9, 3), *tries(MONDAY, "a", 9, 3, start=50), *tries(MONDAY, "c", 20, 0, start=90)]
    )
    assert [row.component for row in numbers.failing.rows] == ["a", "b"]


def test_the_most_frequent_error_type_is_named_ties_by_name(numbers_of):
    failures = [
        *tries(MONDAY, "a", 10, 2, error_type="timeout"),
        *tries(MONDAY, "a", 1, 2, start=50, error_type="network"),
    ]
    row = numbers_of(failures).failing.rows[0]
    assert (row.error_type, row.error_type_failures) == ("network", 2)


def test_a_new_os_version_is_one_whose_first_event_ever_lies_in_the_week(numbers_of):
    events = [
        Event(at(EARLIER), os_release="macOS 14.2"),
        Event(at(MONDAY), os_release="macOS 14.2", machine_key="a"),
        Event(at(MONDAY, 9), "x", "failure", os_release="macOS 26.1", machine_key="b"),
        Event(at(MONDAY, 10), "x", os_release="macOS 26.1", machine_key="c"),
        Event(at(MONDAY, 10), os_release="macOS 27.0", environment="ci"),
    ]
    (new,) = numbers_of(events).new_os
    assert (new.os_release, new.machines, new.rates.events, new.rates.failures) == ("macOS 26.1", 2, 2, 1)
    assert new.first_seen == at(MONDAY, 9)


def test_a_commit_is_judged_by_its_first_day_against_predecessors_until_they_hold_thirty_units(numbers_of):
    days = [MONDAY - timedelta(days=back) for back in (6, 5, 4)]
    events = [
        *tries(days[0], "x", 40, 0, commit="aaaaaaa"),
        *tries(days[1], "x", 40, 0, commit="bbbbbbb"),
        *tries(days[2], "x", 5, 0, commit="ccccccc"),
        *tries(MONDAY, "x", 30, 10, commit="ddddddd"),
        *tries(MONDAY + timedelta(days=3), "x", 0, 30, commit="ddddddd", start=100),
    ]
    commit = numbers_of(events).commits.rows[0]
    assert (commit.commit_sha, commit.predecessor_sha, commit.is_final) == ("ddddddd", "ccccccc", True)
    assert (commit.this_week.events, commit.first_day.events, commit.predecessor.events) == (70, 40, 5)
    assert (commit.units, commit.baseline_units, commit.baseline_commits, commit.verdict) == (40, 45, 2, "worse")
    assert (commit.unit_failures, commit.unit_failure_share, commit.baseline_unit_failures) == (10, 0.25, 0)
    assert commit.expected_share == pytest.approx(2 * (0.5 / 46) / (45 + 2))
    assert commit.success_rate is None  # the commit before it has five events
    assert [(one.component, one.failures, one.events) for one in commit.affected] == [("x", 10, 40)]


def test_a_commit_older_than_seven_days_before_is_no_baseline(numbers_of):
    events = [
        *tries(MONDAY - timedelta(days=30), "x", 40, 0, commit="aaaaaaa"),
        *tries(MONDAY, "x", 30, 10, commit="ddddddd"),
    ]
    (commit,) = numbers_of(events).commits.rows
    assert (commit.predecessor_sha, commit.predecessor.events) == ("aaaaaaa", 0)
    assert (commit.verdict, commit.success_rate, commit.chance) == ("too few", None, None)


def test_verdicts_on_commits_are_those_of_the_mart(tmp_path):
    publish_events(tmp_path, seeded_weeks(days=30, runs_a_day=40, broken="vscode_extensions_install"))
    with open_current(tmp_path) as snapshot:
        shown = weekly_numbers(snapshot, MONDAY, NOW).commits.rows
        rows = snapshot.query("select * from commit_regression").to_dicts()
    judged = {row["commit_sha"]: row for row in rows}
    assert len(shown) >= 2
    assert "worse" in {commit.verdict for commit in shown}
    for commit in shown:
        row = judged[commit.commit_sha]
        assert (commit.verdict, commit.predecessor_sha, commit.units) == (
            row["verdict"], row["predecessor_sha"], row["units"],
        )  # fmt: skip
        assert commit.chance == min(row["chance_worse"], row["chance_better"])
        assert commit.success_rate == pytest.approx(-row["difference_points"] / 100)
        named = [one.component for one in commit.affected]
        assert named == (row["affected_components"] or "").split(", ")[: len(named)]


def test_a_commit_that_is_still_watched_says_to_when(numbers_of):
    mark = at(MONDAY, 15)
    events = [*tries(EARLIER, "x", 40, 0, commit="aaaaaaa"), *tries(MONDAY, "x", 30, 10, commit="ddddddd")]
    commit = numbers_of(events, sources=(Source(watermark=mark),)).commits.rows[0]
    assert (commit.is_final, commit.compared_until) == (False, mark)
    assert commit.first_day.events < commit.this_week.events == 40


def test_a_commit_without_events_in_the_week_is_not_listed(numbers_of):
    events = [*tries(EARLIER, "x", 40, 0, commit="aaaaaaa"), *tries(MONDAY, "x", 9, 0, commit="bbbbbbb")]
    numbers = numbers_of(events)
    assert [commit.commit_sha for commit in numbers.commits.rows] == ["bbbbbbb"]
    assert numbers.commits.rows[0].verdict == "too few"
    assert [one.commit_sha for one in numbers.deployments] == ["aaaaaaa", "bbbbbbb"]


def test_a_commit_whose_life_spans_the_week_without_an_event_in_it_is_not_listed(numbers_of):
    later = MONDAY + timedelta(days=8)
    events = [
        *tries(EARLIER, "x", 20, 0, commit="aaaaaaa"),
        *tries(MONDAY, "x", 20, 0, commit="bbbbbbb"),
        *tries(later, "x", 20, 0, commit="aaaaaaa"),
    ]
    assert [commit.commit_sha for commit in numbers_of(events).commits.rows] == ["bbbbbbb"]


def test_commits_of_the_week_and_events_without_one_add_up_to_the_tile(numbers_of):
    numbers = numbers_of(seeded_weeks(days=20, runs_a_day=15))
    listed = sum(commit.this_week.events for commit in numbers.commits.rows)
    assert numbers.commits.events_without > 0
    assert listed + numbers.commits.events_without == numbers.totals.this_week.rates.events


def test_of_very_many_commits_those_with_most_events_are_listed_and_the_others_counted(numbers_of):
    events = [Event(at(MONDAY, 8 + n / 100), commit_sha=f"{n % 300:07x}", machine_key=f"m{n}") for n in range(301)]
    numbers = numbers_of(events)
    assert len(numbers.commits.rows) == COMMITS_SHOWN
    assert "0000000" in {commit.commit_sha for commit in numbers.commits.rows}
    assert (numbers.commits.others, numbers.commits.others_events) == (200, 200)
    assert sum(commit.this_week.events for commit in numbers.commits.rows) + 200 == 301
    assert len(numbers.deployments) == DEPLOYMENTS_SHOWN


def test_rare_architectures_stand_together_and_add_up(numbers_of):
    events = [
        Event(at(MONDAY), machine_key=f"m{n}-{k}", architecture=f"arch{n:02d}") for n in range(12) for k in range(n + 1)
    ]
    numbers = numbers_of(events)
    rows = numbers.adoption.architectures
    assert [row.architecture for row in rows] == [f"arch{n:02d}" for n in range(11, 5, -1)] + ["6 others"]
    assert sum(row.shares[-1].installations for row in rows) == numbers.totals.this_week.installations == 78
    assert sum(row.shares[-1].share for row in rows) == pytest.approx(1)


def test_shares_are_compared_with_the_first_week_that_has_any(numbers_of):
    events = [
        Event(at(EARLIER), architecture="x86_64", machine_key="a"),
        Event(at(MONDAY), machine_key="b"),
        Event(at(MONDAY), architecture="x86_64", machine_key="a"),
    ]
    adoption = numbers_of(events).adoption
    assert adoption.since == EARLIER
    assert [(row.architecture, row.change_since) for row in adoption.architectures] == [
        ("x86_64", -0.5), ("arm64", 0.5),
    ]  # fmt: skip
    assert numbers_of(events[1:]).adoption.since is None


def test_an_old_week_made_again_from_more_data_keeps_what_it_says_of_the_week(numbers_of):
    then = [
        *tries(EARLIER, "x", 30, 0, commit="aaaaaaa"),
        *tries(MONDAY, "x", 36, 4, commit="bbbbbbb"),
    ]
    later = MONDAY + timedelta(days=9)
    since = [
        *tries(later, "x", 20, 30, commit="bbbbbbb", start=100),
        *tries(later, "x", 9, 1, commit="ccccccc", start=500),
    ]
    before, after = numbers_of(then), numbers_of([*then, *since])
    for name in ("totals", "days", "deployments", "failing", "new_failing", "new_os", "adoption", "commits"):
        assert getattr(after, name) == getattr(before, name), name
    (commit,) = after.commits.rows
    assert (commit.this_week.events, commit.this_week.failures) == (40, 4)
    assert (commit.units, commit.baseline_units) == (40, 30)


def test_a_week_of_25_hours_holds_the_commits_of_its_last_second(numbers_of):
    monday = date(2026, 10, 19)
    end = at(monday + timedelta(days=7), 0)
    events = [
        Event(end - timedelta(seconds=1), commit_sha="aaaaaaa"),
        Event(end, commit_sha="bbbbbbb", machine_key="other"),
    ]
    (commit,) = numbers_of(events, monday=monday).commits.rows
    assert (commit.commit_sha, commit.this_week.events, commit.first_day.events) == ("aaaaaaa", 1, 1)


def test_a_commit_of_one_shared_key_is_too_few_to_judge(numbers_of):
    shared = [replace(event, machine_key="campus") for event in tries(EARLIER, "x", 30, 1, commit="aaaaaaa")] + [
        replace(event, machine_key="campus") for event in tries(MONDAY, "x", 40, 1, commit="bbbbbbb")
    ]
    (commit,) = numbers_of(shared).commits.rows
    assert (commit.units, commit.baseline_units, commit.verdict) == (1, 1, "too few")


def test_a_week_before_any_data_has_no_rate_and_says_so(numbers_of):
    numbers = numbers_of([], sources=(Source(watermark=None),))
    assert numbers.totals.this_week.rates.success_rate is None
    assert numbers.totals.success_rate is None
    said = findings(numbers)
    assert said.headline_kind == "no_data"
    assert said.incomplete


def test_silence_is_not_health(numbers_of):
    said = findings(numbers_of(tries(EARLIER, "x", 200, 0)))
    assert said.headline_kind == "no_events"
    assert not said.incomplete


def test_one_event_is_too_few_to_judge(numbers_of):
    said = findings(numbers_of([Event(at(MONDAY), outcome="failure")]))
    assert said.headline_kind == "too_few"


def test_a_week_of_failures_only_has_a_rate_of_zero_not_none(numbers_of):
    numbers = numbers_of([*tries(EARLIER, "x", 50, 0), *tries(MONDAY, "x", 0, 50)])
    assert numbers.totals.this_week.rates.success_rate == 0
    assert numbers.totals.verdict == "worse"


@pytest.mark.parametrize(("monday", "hours"), [(date(2026, 10, 19), 169), (date(2026, 3, 23), 167), (MONDAY, 168)])
def test_weeks_of_clock_changes_hold_their_hours(numbers_of, monday, hours):
    sunday = monday + timedelta(days=6)
    events = [Event(at(sunday, 0) + timedelta(minutes=30 * n), machine_key=f"m{n}") for n in range(50)]
    numbers = numbers_of(events, monday=monday)
    assert numbers.period.end - numbers.period.start == timedelta(hours=hours)
    assert numbers.days[-1].rates.events == min(50, 2 * (24 + hours - 168))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (Source(watermark=datetime(2026, 11, 15, 20, tzinfo=UTC)), "data to"),
        (Source(watermark=None), "not known"),
        (
            Source(differing_days=(MONDAY,)),
            "{in_period.open_differences} day of {name} differs from the source's own report in this period.",
        ),
        (
            Source(differing_days=(EARLIER, MONDAY - timedelta(days=1))),
            "{in_period_before.open_differences} days of {name} differ from the source's own report "
            "in the period before, with which this one is compared.",
        ),
        (
            Source(truncated=[(MONDAY + timedelta(days=6), 3)]),
            "{in_period.truncated} events of {name} were cut off at the source in this period.",
        ),
        (
            Source(truncated=[(EARLIER, 1)]),
            "{in_period_before.truncated} event of {name} was cut off at the source "
            "in the period before, with which this one is compared.",
        ),
        (Source(proven_from=at(MONDAY, 1)), "begin"),
        (
            Source(gaps=[(at(MONDAY, 9), 9), (at(EARLIER, 9), 8)]),
            "{name} from {gaps.0.start|instant_of_year} to {gaps.0.end|instant_of_year} does not add up: "
            "{gaps.0.received} rows received, {gaps.0.announced} rows announced.",
        ),
        (
            Source(gaps=[(at(MONDAY, hour), 9) for hour in range(5)]),
            "{more_gaps} more windows of {name} do not add up either.",
        ),
    ],
)
def test_incomplete_data_are_named(numbers_of, source, says):
    said = findings(numbers_of(tries(MONDAY, "x", 20, 0), sources=(source,)))
    plain = " ".join(said.incomplete).replace("quality.sources.0.", "")
    assert says in plain.replace("|count", "").replace("{source|text}", "{name}")


def test_a_mirror_is_no_source_of_the_page(numbers_of):
    sources = (Source(), Source(name="copy", mirror_of="installers", watermark=None, differing_days=(MONDAY,)))
    numbers = numbers_of(tries(MONDAY, "x", 20, 0), sources=sources)
    assert [source.source for source in numbers.quality.sources] == ["installers"]
    assert findings(numbers).incomplete == ()


def test_what_is_missing_of_other_weeks_marks_no_page(numbers_of):
    outside = (EARLIER - timedelta(days=1), MONDAY + timedelta(days=7))
    source = Source(truncated=[(day, 7) for day in outside], differing_days=outside)
    numbers = numbers_of(tries(MONDAY, "x", 20, 0), sources=(source,))
    assert findings(numbers).incomplete == ()
    (state,) = numbers.quality.sources
    assert state.in_period == state.in_period_before == KnownLoss()
    assert state.ever == KnownLoss(14, 2)


def test_what_is_missing_is_told_of_each_source(numbers_of):
    sources = (
        Source(truncated=[(MONDAY, 2), (MONDAY, 3), (EARLIER, 4)], differing_days=(MONDAY,)),
        Source(name="other"),
    )
    first, other = numbers_of(tries(MONDAY, "x", 20, 0), sources=sources).quality.sources
    assert (first.in_period, first.in_period_before, first.ever) == (KnownLoss(5, 1), KnownLoss(4), KnownLoss(9, 1))
    assert other.in_period == other.in_period_before == other.ever == KnownLoss()


@pytest.mark.parametrize(
    ("day", "weeks"),
    [
        (EARLIER - timedelta(days=2), []),
        (EARLIER - timedelta(days=1), ["in_period_before"]),
        (MONDAY - timedelta(days=1), ["in_period", "in_period_before"]),
        (MONDAY, ["in_period"]),
        (MONDAY + timedelta(days=6), ["in_period"]),
        (MONDAY + timedelta(days=7), []),
    ],
)
def test_a_day_of_a_site_in_another_zone_belongs_to_the_weeks_it_touches(numbers_of, day, weeks):
    """In November a day of New York lasts from 06:00 to 06:00 in Copenhagen."""
    source = Source(zone="America/New_York", differing_days=(day,))
    (state,) = numbers_of(tries(MONDAY, "x", 20, 0), sources=(source,)).quality.sources
    assert [name for name in ("in_period", "in_period_before") if getattr(state, name).open_differences] == weeks


def test_days_after_the_watermark_are_not_complete(numbers_of):
    numbers = numbers_of([Event(at(MONDAY))], sources=(Source(watermark=at(MONDAY + timedelta(days=2), 13)),))
    assert [day.complete for day in numbers.days[7:]] == [True, True, False, False, False, False, False]


def test_a_day_that_is_no_monday_is_refused(tmp_path):
    publish_events(tmp_path, [])
    with open_current(tmp_path) as snapshot, pytest.raises(ValueError, match="not a Monday"):
        weekly_numbers(snapshot, MONDAY + timedelta(days=1), NOW)


def test_ten_thousand_components_are_all_counted(numbers_of):
    events = [
        Event(at(MONDAY - timedelta(days=7 * (n % 2)), 12), f"component_{n // 2:05d}", "success", f"m{n}")
        for n in range(20_000)
    ]
    numbers = numbers_of(events)
    assert numbers.failing.components == numbers.totals.this_week.rates.events == 10_000


FRIDAY = EARLIER + timedelta(days=4)


def test_what_was_not_recorded_yet_is_not_nought_and_is_compared_with_nothing(numbers_of):
    events = [*tries(FRIDAY, "x", 60, 3, start=500), *tries(MONDAY, "x", 190, 10)]
    numbers = numbers_of(events, sources=(Source(proven_from=at(FRIDAY, 9)),))
    said, totals = findings(numbers), numbers.totals
    assert [day.rates is None for day in numbers.days] == [True] * 4 + [False] * 10
    assert [day.installations for day in numbers.days][3:7] == [None, 63, 0, 0]
    assert not totals.before_is_known
    assert (totals.installations, totals.events, totals.machines, numbers.new_failing) == (None, None, None, ())
    assert said.incomplete == (
        "data of {quality.sources.0.source|text} begin {quality.sources.0.proven_from|instant_of_year}, so the week "
        "before is not whole.",
    )
    assert "week before" not in said.failing_title
    assert [week.installations for week in numbers.adoption.weeks] == [None] * 6 + [63, 200]
    assert (numbers.adoption.since, numbers.adoption.architectures[0].change_one_week) == (None, None)


def test_records_that_hold_the_week_before_from_its_start_are_compared(numbers_of):
    events = [*tries(EARLIER, "x", 60, 3, start=500), *tries(MONDAY, "x", 190, 10)]
    numbers = numbers_of(events, sources=(Source(proven_from=at(EARLIER, 0)),))
    assert numbers.totals.before_is_known
    assert (numbers.totals.events.absolute, findings(numbers).incomplete) == (137, ())
    assert numbers.adoption.since == EARLIER


def test_nothing_is_new_in_the_week_with_which_records_begin(numbers_of):
    events = tries(MONDAY, "x", 20, 1)
    for source in (Source(proven_from=at(MONDAY, 9)), Source(proven_from=at(MONDAY, 0))):
        numbers = numbers_of(events, sources=(source,))
        assert (numbers.new_os_is_known, numbers.new_os) == (False, ())
        said = findings(numbers)
        assert said.new_os_title == "Which OS versions are new is not known yet"
        assert not any("first time" in one for one in said.details)
    assert numbers_of(events, sources=(Source(proven_from=at(MONDAY, -1)),)).new_os_is_known


def test_a_source_that_came_later_leaves_the_week_before_without_comparison(numbers_of):
    sources = (Source(), Source(name="second", proven_from=at(MONDAY, 0)))
    numbers = numbers_of([*tries(EARLIER, "x", 60, 3), *tries(MONDAY, "x", 190, 10)], sources=sources)
    assert not numbers.totals.before_is_known
    assert all(day.rates is not None for day in numbers.days)
    assert numbers.new_os_is_known


def test_a_new_source_does_not_silence_what_began_to_fail_elsewhere(numbers_of):
    events = [
        *tries(EARLIER, "conda", 500, 0, start=1000),
        *tries(MONDAY, "conda", 440, 60, start=1000),
        *tries(MONDAY, "of the new source", 40, 60),
    ]
    sources = (Source(), Source(name="second", proven_from=at(MONDAY, 0)))
    assert [row.component for row in numbers_of(events, sources=sources).new_failing] == ["conda"]
