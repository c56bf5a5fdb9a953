"""Messages of alerts: what each says, in which order, and that it never says more than is known."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matokit_pipelines import resources
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Announcement
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.composing import compose, story_of
from matokit_pipelines.alerts.content.evidence import NOTHING, Evidence, Source, gather
from matokit_pipelines.alerts.content.headlines import headline
from matokit_pipelines.alerts.content.scopes import scopes_of
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.windows import Window
from tests.alert_scenes import (
    COMPLETE,
    KINDS,
    NEW,
    NOW,
    OLD,
    RULES,
    START,
    ZONE,
    announcement,
    episode,
    evidence_of_night,
    links,
    night,
    over,
    site,
    verdict,
    warehouse,
)

NIGHT = dict(night())
CASES = sorted(NIGHT)


@cache
def told(name: str) -> Message:
    return compose(NIGHT[name], evidence_of_night()[name], links())


def alone(kind: str, rule: str, evidence: Evidence = NOTHING, **more: object) -> Message:
    return compose(announcement(kind, rule, **more), evidence, links())  # type: ignore[arg-type]


# -- form ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_text_is_complete_and_fits_78_columns(name: str) -> None:
    message = told(name)
    story = story_of(NIGHT[name], evidence_of_night()[name], links())
    too_wide = [line for line in message.text.splitlines() if len(line) > 78 and "://" not in line]
    assert too_wide == []
    assert "\n\n\n" not in message.text
    flat = " ".join(message.text.split())
    for said in (story.headline, *story.notices, *story.lead, *story.look, *(fact.text for fact in story.facts)):
        assert " ".join(said.split()) in flat
    for link in story.links:
        assert link.address in message.text


@pytest.mark.parametrize("name", CASES)
def test_mail_and_blocks_say_what_the_story_says(name: str) -> None:
    message = told(name)
    story = story_of(NIGHT[name], evidence_of_night()[name], links())
    html = " ".join((message.html or "").replace("\u00a0", " ").split())
    blocks = str(message.blocks)
    assert story.headline.replace("'", "&#39;") in html
    assert story.headline in blocks
    for table in story.tables.values():
        assert table.title in html
        assert table.title in blocks
        for row in table.rows:
            assert row[0] in html
    for link in story.links:
        assert f'href="{link.address}"' in html
        assert f"<{link.address}|" in blocks
    assert len(message.html or "") < 60_000  # mail readers cut at 102 kB, and styles are repeated when inlined


@pytest.mark.parametrize("name", ["firing-overall_success_rate", "digest-health"])
def test_the_same_input_gives_the_same_message(name: str) -> None:
    again = compose(NIGHT[name], evidence_of_night()[name], links())
    assert again.to_json() == told(name).to_json()


@pytest.mark.parametrize("name", CASES)
def test_subject_is_one_short_line_that_names_the_finding(name: str) -> None:
    subject = told(name).subject
    assert 10 < len(subject) <= 180
    assert "\n" not in subject


def test_every_rule_and_occasion_has_its_pair_of_templates() -> None:
    folder = resources.path("report_templates") / "alerts"
    later = {"reminder", "joined", "resolved", "past", "digest"}
    assert later | {"firing", "confirmed"} == set(KINDS)
    for name in (*RULES, *later):
        assert (folder / f"{name}.html.j2").exists(), name
        assert (folder / f"{name}.txt.j2").exists(), name


def test_only_reminders_are_shown_in_the_channel_again() -> None:
    assert {kind for kind in KINDS if alone(kind, "overall_success_rate").broadcast} == {"reminder"}


# -- the first sentence ----------------------------------------------------------------------------


def said(rule: str, subject: str | None = None, **inputs: object) -> str:
    return headline(verdict(rule, subject, **inputs), links(), NOW)


def test_first_sentences_of_the_rules() -> None:
    assert said("overall_success_rate", n=25, failures=13, expected_share=0.03) == (
        "13 of 25 events failed (52 %), usually 3 %"
    )
    assert said("new_failure_pattern") == "python_install: 13 of 25 events failed (52 %), the day before 1 of 61 (2 %)"
    assert said("high_volume_failures", n=120, failures=34, expected_share=0.03) == (
        "34 failures in one hour, of 120 events (28 %); usually about 4 of so many"
    )
    assert said("arch_gap") == "arm64: 48 of 212 events failed (23 %), on all others 3 of 95 (3 %)"
    assert said("commit_regression") == (
        f"Commit {NEW}: 40 of 71 events failed (56 %), with {OLD} before it 34 of 1,610 (2 %)"
    )
    assert said("component_failure_rate") == "python_install: 14 of 52 events failed (27 %) in 24 hours, usually 2 %"
    assert said("new_component_failure") == (
        "python_first_year_setup: 12 of 44 events failed (27 %) in 24 hours, none of 320 in the week before"
    )
    assert said("success_drop_7d", ALL).startswith("14 of 52 events failed (27 %) in 24 hours, in the week before")
    assert said("slow_regression") == (
        "latex_install: 9 of 31 first tries failed (29 %) since about Tue 17 Nov 03:10 CET, usually 3 %"
    )
    assert said("no_events") == "No installer event since Thu 19 Nov 22:10 CET, usually about 41 in these hours"
    assert said("data_stale") == (
        "Data are complete to Thu 19 Nov 18:50 CET only, 8 h 20 min ago: nothing later is watched"
    )


@pytest.mark.parametrize("rule", RULES)
def test_what_a_verdict_lacks_is_never_made_up(rule: str) -> None:
    bare = Verdict(rule, ALL, "production", COMPLETE, "ok", True, True, {"guard": "met"})
    sentence = headline(bare, links(), NOW)
    assert not re.search(r"\d", sentence), sentence
    one = replace(episode(rule), first=bare, worst=bare, last=bare)
    for kind in ("firing", "reminder", "joined", "resolved", "past"):
        compose(Announcement(kind, (one,), NOW, COMPLETE), NOTHING, links())  # type: ignore[arg-type]


@given(
    n=st.integers(0, 10**7),
    failures=st.integers(0, 10**7),
    before=st.none() | st.integers(0, 10**7),
    usual=st.none() | st.floats(0, 1),
    chance=st.none() | st.floats(0, 1) | st.just(float("nan")),
    rule=st.sampled_from(RULES),
)
@example(n=0, failures=0, before=None, usual=None, chance=None, rule="high_volume_failures")
def test_any_numbers_make_a_sentence_with_those_numbers(
    n: int, failures: int, before: int | None, usual: float | None, chance: float | None, rule: str
) -> None:
    inputs = {"n": n, "failures": min(n, failures), "before_n": before, "before_failures": 0, "chance": chance,
              "expected_share": usual, "guard": "met"}  # fmt: skip
    sentence = headline(Verdict(rule, ALL, "production", COMPLETE, "ok", True, True, inputs), links(), NOW)
    assert "nan" not in sentence.lower()
    assert "None" not in sentence
    if rule in ("overall_success_rate", "high_volume_failures") and n:
        assert wording.count(min(n, failures)) in sentence
        assert wording.count(n) in sentence


def test_too_little_known_of_before_is_said() -> None:
    few = {"baseline_units": 4, "baseline_failures": 1, "expected_share": 0.25}
    assert said("overall_success_rate", **few).endswith("what is usual is not known yet")
    no_rate = {"expected_share": None, "baseline_units": None, "baseline_failures": None}
    assert said("overall_success_rate", **no_rate).endswith("what is usual is not known yet")


# -- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "rule", "words"),
    [
        (5e-5, "new_failure_pattern", "about once in 20,000 windows if nothing had changed"),
        (0.0008, "arch_gap", "about once in 1,200 days if nothing had changed"),
        (0.0099, "commit_regression", "about once in 100 deployments if nothing had changed"),
        (1e-7, "high_volume_failures", "less than once in a million windows if nothing had changed"),
        (0.0, "high_volume_failures", "less than once in a million windows if nothing had changed"),
        (0.9, "high_volume_failures", "in most windows if nothing had changed"),
        (None, "arch_gap", ""),
        (float("nan"), "arch_gap", ""),
    ],
)
def test_chance_in_words(value: float | None, rule: str, words: str) -> None:
    assert wording.chance(value, rule) == words


@given(st.floats(1e-6, 0.4))
def test_odds_are_those_of_the_chance(value: float) -> None:
    found = re.search(r"once in ([\d,]+) ", wording.chance(value, "overall_success_rate"))
    assert found
    assert int(found[1].replace(",", "")) == pytest.approx(1 / value, rel=0.5)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_percent_is_plain_0_or_100_only_for_none_or_all(counts: tuple[int, int]) -> None:
    some, everything = counts
    shown = wording.percent(some / everything)
    assert (shown == "0 %") == (some == 0)
    assert (shown == "100 %") == (some == everything)


def test_instants_in_the_zone_and_in_utc_where_the_clock_shows_them_twice() -> None:
    before, after = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert wording.clock(before, ZONE, after) == "02:30 CEST (00:30 UTC)"
    assert wording.clock(after, ZONE, after) == "02:30 CET (01:30 UTC)"
    assert wording.clock(before - timedelta(hours=2), ZONE, after) == "00:30 CEST"
    assert wording.clock(before - timedelta(hours=3), ZONE, after) == "Sat 24 Oct 23:30 CEST"
    assert wording.clock(datetime(2025, 1, 2, 3, tzinfo=UTC), ZoneInfo("UTC"), after) == "Thu 2 Jan 2025 03:00 UTC"
    assert wording.clock(after, ZoneInfo("America/Sao_Paulo"), after) == "22:30 UTC-03"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "0 min"), (59, "59 min"), (60, "1 h"), (130, "2 h 10 min"), (48 * 60, "2 days"), (-5, "0 min")],
)
def test_durations(minutes: int, words: str) -> None:
    assert wording.lasting(timedelta(minutes=minutes)) == words


# -- occasions -------------------------------------------------------------------------------------


def test_resolved_says_how_long_how_bad_how_it_is_now_and_why() -> None:
    message = told("resolved-overall")
    assert message.subject == "Resolved after 1 h 30 min: overall success rate"
    flat = " ".join(message.text.split())
    for words in ("Lasted 1 h 30 min, from 01:30 CET to 03:00 CET", "Worst 38 of 64 events failed (59 %)",
                  "At present 1 of 40 events failed", "Reason the condition has not held for 1 h"):  # fmt: skip
        assert words in flat


def test_no_longer_measurable_is_never_called_over() -> None:
    message = told("resolved-unmeasurable")
    everything = f"{message.subject}\n{message.text}\n{message.blocks}"
    assert message.subject.startswith("No longer measurable after 1 h 30 min")
    assert "not known, nothing to count" in message.text
    for word in ("ecovered", "esolved", "WHITE HEAVY", "\N{WHITE HEAVY CHECK MARK}"):
        assert word not in everything


def test_not_confirmed_says_so() -> None:
    message = told("resolved-unconfirmed")
    assert message.subject.startswith("Not confirmed by complete data")
    assert "esolved" not in message.subject + message.text


def test_several_that_end_together_each_say_how_they_are() -> None:
    ended = (over("new_failure_pattern"), over("new_failure_pattern", "no_longer_measurable", subject="latex_install"))
    message = alone("resolved", "new_failure_pattern", episodes=ended)
    assert message.subject.startswith("Over after 1 h 30 min: python_install, latex_install")
    assert "Now: 1 of 40 events failed" in message.text
    assert "Now: not known, nothing to count" in message.text


def ended(rule: str, *, worst: dict[str, int], last: dict[str, int], **more: object) -> Message:
    """The message at the end of one whose condition no longer holds, with figures at the worst and at the end."""
    bad, now = verdict(rule, **worst), verdict(rule, raw=False, guard="not_asked", **last)
    return alone("resolved", rule, episodes=(over(rule, worst=bad, last=now, **more),))


@pytest.mark.parametrize(
    ("rule", "worst", "last", "reason"),
    [
        ("new_failure_pattern", (30, 14), {"n": 44, "failures": 14, "before_n": 31, "before_failures": 2},
         "no longer new, as the day before is no longer above 95 %; failures go on"),
        ("overall_success_rate", (64, 38), {"n": 9, "failures": 8},
         "too few events to judge for 1 h, more than 10 are needed; failures go on"),
        ("high_volume_failures", (41, 26), {"n": 19, "failures": 18},
         "no longer over 20 failures, for 1 h; failures go on"),
        ("arch_gap", (212, 48), {"n": 200, "failures": 46, "before_n": 90, "before_failures": 18},
         "no longer 15 points worse than all others; failures go on"),
        ("new_component_failure", (44, 12), {"n": 40, "failures": 11, "before_n": 300, "before_failures": 12},
         "no longer new, as the days before hold failures too; failures go on"),
        ("success_drop_7d", (52, 14), {"n": 50, "failures": 13, "before_n": 300, "before_failures": 60},
         "no longer 15 points worse than the days before; failures go on"),
    ],
)  # fmt: skip
def test_what_is_over_though_failures_go_on_is_not_taken_for_well(
    rule: str, worst: tuple[int, int], last: dict[str, int], reason: str
) -> None:
    message = ended(rule, worst={"n": worst[0], "failures": worst[1]}, last=last)
    flat = " ".join(message.text.split())
    assert message.subject.startswith("Over after 1 h 30 min, but failures go on: ")
    assert f"Reason {reason}" in flat
    assert "esolved" not in message.subject + flat
    assert "\N{WHITE HEAVY CHECK MARK}" not in str(message.blocks)


def test_what_went_back_to_what_is_usual_is_well() -> None:
    message = ended("new_failure_pattern", worst={"n": 30, "failures": 14}, last={"n": 44, "failures": 3})
    assert message.subject == "Resolved after 1 h 30 min: python_install (new failure pattern)"
    assert "failures go on" not in message.text


def test_a_larger_share_of_fewer_events_is_named_beside_the_worst() -> None:
    text = " ".join(
        ended("overall_success_rate", worst={"n": 64, "failures": 38}, last={"n": 1, "failures": 1}).text.split()
    )
    assert "Worst 38 of 64 events failed (59 %), usually 2 %; at present a larger share of fewer events" in text


def test_of_several_that_end_together_those_that_go_on_failing_are_named() -> None:
    bad = verdict("new_failure_pattern", "latex_install", raw=False, n=44, failures=14, before_n=31, before_failures=2)
    both = (over("new_failure_pattern"), over("new_failure_pattern", subject="latex_install", last=bad))
    message = alone("resolved", "new_failure_pattern", episodes=both)
    assert message.subject.startswith("Over after 1 h 30 min: python_install, latex_install")
    assert "Failures go on: latex_install (new failure pattern)." in message.text
    past = alone("past", "new_failure_pattern", episodes=both[1:])
    assert past.subject.startswith("Over already, but failures go on: latex_install: 13 of 25")
    digest = alone("digest", "new_failure_pattern", episodes=both)
    assert "Recovered 03:00 CET: the condition has not held" in digest.text
    assert "Closed 03:00 CET: no longer new" in digest.text


@pytest.mark.parametrize("kind", ["resolved", "past", "joined"])
@pytest.mark.parametrize("rule", RULES)
def test_every_end_and_line_in_a_thread_says_up_to_when_the_data_go(kind: str, rule: str) -> None:
    text = " ".join(alone(kind, rule).text.split())
    assert ("ata are complete to" if rule == "data_stale" else "Data complete to 03:00 CET") in text


def test_what_is_usual_does_not_hold_the_failures_that_are_told_of() -> None:
    slipped = verdict("overall_success_rate", n=120, failures=120, expected_share=0.27)
    lasting = replace(episode("overall_success_rate"), worst=slipped, last=slipped)
    reminder = alone("reminder", "overall_success_rate", episodes=(lasting,))
    assert reminder.subject.endswith("120 of 120 events failed (100 %), usually 2 %")
    over_now = ended(
        "overall_success_rate",
        worst={"n": 120, "failures": 120, "baseline_failures": 900},
        last={"n": 460, "failures": 3},
    )
    assert "Worst 120 of 120 events failed (100 %), usually 2 %" in " ".join(over_now.text.split())
    told_of = announcement("reminder", "overall_success_rate", episodes=(lasting,))
    [scope] = scopes_of(told_of, AlertSettings(), ZONE)
    assert scope.other is not None
    assert scope.other.end == START - timedelta(hours=2)


def test_later_data_late_data_and_provisional_data_are_named() -> None:
    assert "Data that came later changed a figure that was told before." in told("resolved-corrected").text
    assert "found 03:10 CET, data arrived late" in " ".join(told("firing-late").text.split())
    provisional = told("firing-provisional")
    assert provisional.subject.startswith("Critical (provisional): ")
    assert "! Provisional: from events of the last hour" in provisional.text
    assert told("confirmed-overall").subject.startswith("Critical: Complete data confirm it: 38 of 64")
    assert "Found 03:10 CET: the data arrived late" in " ".join(told("past-late").text.split())


def test_guard_that_is_off_and_shared_keys_are_named() -> None:
    assert "Raw rule only: the guard is switched off" in told("firing-guard-off").text
    assert "Raw rule only" not in told("firing-overall_success_rate").text
    assert "Raw rule only" not in told("firing-data_stale").text
    shared = episode("overall_success_rate", inputs={"shared_key": True})
    message = alone("firing", "overall_success_rate", episodes=(shared,))
    assert "machines cannot be told apart" in " ".join(message.text.split())
    assert "Machines          cannot be told apart" in message.text
    assert "17 machines" not in message.text


def test_how_unlikely_is_that_of_the_verdict_whose_guard_was_met() -> None:
    goes_on = verdict("overall_success_rate", chance=0.4)
    one = replace(episode("overall_success_rate"), last=replace(goes_on, guarded=False))
    assert "less than once in a million" in " ".join(
        alone("firing", "overall_success_rate", episodes=(one,)).text.split()
    )
    sure = episode("overall_success_rate", inputs={"chance": 0.2})
    text = alone("firing", "overall_success_rate", episodes=(sure,)).text
    assert "below 75 % for sure, whatever was usual" in text
    assert "How unlikely" not in told("reminder-overall").text


def test_what_the_data_lack_is_said() -> None:
    hole = Window(START, START + timedelta(hours=1))
    evidence = Evidence(
        sources=(Source("installers", COMPLETE, "The server did not answer", 7),), troubled=(("installers", hole),),
        unread=("It could not be read.",),
    )  # fmt: skip
    caveats = ("source lab is left out since 02:00",)
    told_of = announcement("firing", "overall_success_rate", caveats=caveats)
    text = " ".join(compose(told_of, evidence, links()).text.split())
    assert "! source lab is left out since 02:00." in text
    assert "Incomplete: source installers did not give all events from 01:30 CET to 02:30 CET." in text
    assert "Source installers withheld 7 events of these days." in text
    assert "What surrounds it could not be read" in text
    stale = " ".join(alone("firing", "data_stale", evidence).text.split())
    assert "Source installers: The server did not answer." in stale


def test_a_flood_of_names_is_ten_lines() -> None:
    message = told("firing-flood")
    assert message.subject.startswith("Critical: 37 components fail, worst component_0: 13 of 25")
    assert message.text.count("13 of 25 events failed") == 11
    assert "and 27 more" in message.text
    assert "and 27 more" in str(message.blocks)
    assert "component_10" not in message.text


def test_reminder_says_since_when_and_joined_stays_short() -> None:
    reminder = told("reminder-overall")
    assert reminder.subject.startswith("Critical: Still failing after 1 h 30 min: 38 of 64")
    worse = replace(episode("overall_success_rate"), worst=verdict("overall_success_rate", n=50, failures=45))
    text = " ".join(alone("reminder", "overall_success_rate", episodes=(worse,)).text.split())
    assert "At worst: 45 of 50 events failed (90 %)" in text
    joined = told("joined-two")
    assert joined.subject == "Critical: Also failing: python_install, python_first_year_setup (new failure pattern)"
    assert len(joined.text.splitlines()) < 25


def test_commit_names_the_daily_rules_that_it_explains() -> None:
    text = " ".join(told("firing-explains").text.split())
    assert "It explains these daily warnings as well: component fails often, success fell within a week." in text


def test_digests_keep_what_is_over_and_mark_it() -> None:
    warnings = told("digest-warnings")
    assert warnings.subject.startswith("5 warnings, 2 over already; first: arm64: 48 of 212")
    assert "Recovered 03:00 CET: the condition has not held for 1 h" in warnings.text
    assert "Closed 03:00 CET: no longer measurable" in warnings.text
    assert len(re.findall(r"^== ", warnings.text, re.MULTILINE)) == 3
    health = told("digest-health")
    assert health.subject.startswith("Component health: 3 components fail, worst python_install: 14 of 52")
    for needed in ("Affected systems", "Failures began", f"Commit {NEW} first seen", "CI green, production failing",
                   "Success fell within a week", "Recovered 03:00 CET"):  # fmt: skip
        assert needed in " ".join(health.text.split())


def test_what_is_over_says_so_in_the_words_of_its_rule() -> None:
    silence = " ".join(alone("resolved", "no_events").text.split())
    assert "At present events arrive again" in silence
    stale = " ".join(alone("resolved", "data_stale").text.split())
    assert "At present data are complete to 03:00 CET" in stale
    commit = alone("resolved", "commit_regression", episodes=(over("commit_regression", "no_longer_measurable"),))
    assert "a commit is watched for 24 hours; nobody knows whether it is better" in " ".join(commit.text.split())
    daily = alone("resolved", "component_failure_rate")
    assert "the condition did not hold at the daily run" in daily.text


def test_what_is_usual_is_that_of_the_start_where_nobody_asks_later() -> None:
    fine = verdict("overall_success_rate", raw=False, n=88, failures=22)
    bare = replace(fine, inputs={"n": 88, "failures": 22, "guard": "not_asked"})
    one = over("overall_success_rate", last=bare)
    text = " ".join(alone("resolved", "overall_success_rate", episodes=(one,)).text.split())
    assert "At present 22 of 88 events failed (25 %), usually 2 %" in text
    recovering = replace(episode("overall_success_rate"), last=bare)
    reminder = alone("reminder", "overall_success_rate", episodes=(recovering,))
    assert reminder.subject == ("Critical: Not over yet after 1 h 30 min: 22 of 88 events failed (25 %), usually 2 %")
    assert "At worst: 38 of 64 events failed (59 %)" in " ".join(reminder.text.split())


def test_a_reminder_has_the_counts_of_now_although_its_verdict_is_of_the_start() -> None:
    old = verdict("overall_success_rate", at=COMPLETE - timedelta(hours=4), n=25, failures=20)
    told_of = announcement("reminder", "overall_success_rate", episodes=(replace(episode(old.rule), last=old),))
    con = warehouse()
    try:
        evidence = gather(con, told_of, links())
    finally:
        con.close()
    start = COMPLETE - timedelta(hours=2)
    mine = [row for row in site() if row[1] == "production" and start <= row[0] < COMPLETE]
    failures = sum(row[3] == "failure" for row in mine)
    assert compose(told_of, evidence, links()).subject.startswith(
        f"Critical: Still failing after 1 h 30 min: {failures} of {len(mine)} events failed"
    )


@pytest.mark.parametrize("name", ["firing-overall_success_rate", "digest-health", "resolved-overall"])
def test_without_addresses_the_runbook_is_named_and_nothing_is_empty(name: str) -> None:
    nowhere = links(public_url="", runbook_url="", repository_url="")
    message = compose(NIGHT[name], evidence_of_night()[name], nowhere)
    assert "docs/runbook.md#" in message.text
    assert "docs/runbook.md#" in (message.html or "")
    assert "docs/runbook.md#" in str(message.blocks)
    assert "\n\n\n" not in message.text
    assert "href" not in (message.html or "")


def test_a_digest_looks_into_ten_and_counts_the_others() -> None:
    episodes = tuple(episode("component_failure_rate", f"c{place}") for place in range(25))
    message = alone("digest", "component_failure_rate", episodes=episodes, digest="health")
    assert "and 15 more" in message.text
    assert len(re.findall(r"^== ", message.text, re.MULTILINE)) == 10
    assert len(message.blocks or ()) <= 50


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ("overall_success_rate", ("Failing components", "Affected systems", "What changed", "In CI")),
        ("new_failure_pattern", ("OS versions", "What changed", "Changes since a1b2c3d", "In CI")),
        ("high_volume_failures", ("Failing components", "Affected systems")),
        ("arch_gap", ("Failing components", "OS versions", "Day ")),
        ("commit_regression", ("Failing components", "commit before", "Changes since a1b2c3d")),
        ("component_failure_rate", ("Affected systems", "Failures began", "In CI")),
        ("success_drop_7d", ("Failing components", "Affected systems", "Failures began", "In CI")),
        ("slow_regression", ("told apart from chance at", "What changed", "In CI")),
        ("no_events", ("tracking is on",)),
        ("data_stale", ("matokit doctor",)),
    ],
)
def test_each_rule_says_what_is_demanded_of_it(rule: str, needed: tuple[str, ...]) -> None:
    message = told(f"firing-{rule}")
    flat = " ".join(message.text.split())
    for one in (*needed, f"https://wiki.example.org/runbook#{rule}", "https://matokit.example.org"):
        assert one in flat
    if rule not in ("data_stale",):
        assert "Data complete to 03:00 CET" in flat
    if rule not in ("no_events", "data_stale"):
        assert re.search(r"Machines +\d+ ", message.text)
        assert "Since " in flat or "Day " in flat


@pytest.mark.parametrize("rule", RULES)
def test_the_meaning_follows_the_settings(rule: str) -> None:
    changed = AlertSettings.model_validate(
        {"rules": {"overall_success_rate": {"below_percent": 61.5}, "arch_gap": {"gap_points": 33}}}
    )
    text = " ".join(compose(announcement("firing", rule), NOTHING, links(alerts=changed)).text.split())
    assert "It fires when" in text or "It fires at" in text or "It adds up" in text
    assert ("fewer than 61.5 % succeed" in text) == (rule == "overall_success_rate")
    assert ("over 33 points" in text) == (rule == "arch_gap")


def test_pictures_stand_in_the_mail_with_words_and_have_text() -> None:
    with_one = [name for name in CASES if told(name).images]
    assert {name for name in CASES if name.startswith(("digest", "joined"))}.isdisjoint(with_one)
    assert "firing-data_stale" not in with_one
    message = told("firing-overall_success_rate")
    [image] = message.images
    assert f'src="cid:{image.name}"' in (message.html or "")
    assert image.png.startswith(b"\x89PNG")
    assert len(image.png) > 15_000  # without text it would be a third of that
    assert "the start, Fri 20 Nov 01:30, is marked" in image.alt


def test_an_announcement_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="one episode"):
        compose(Announcement("firing", (), NOW, COMPLETE), NOTHING, links())


@pytest.mark.parametrize("name", CASES)
def test_each_message_has_one_link_to_the_page_of_its_alert_or_to_all(name: str) -> None:
    message, episodes = told(name), NIGHT[name].episodes
    pages = "https://matokit.example.org/alerts/"
    wanted = pages + (episodes[0].id if len(episodes) == 1 else "")
    for text in (message.text, message.html or "", str(message.blocks)):
        assert re.findall(rf"{pages}[0-9a-f]*", text) == [wanted]


@pytest.mark.parametrize("name", CASES)
def test_without_a_tool_server_no_message_links_to_alert_pages(name: str) -> None:
    for elsewhere in (links(public_url=""), links(is_toolserver=False)):
        message = compose(NIGHT[name], evidence_of_night()[name], elsewhere)
        assert "/alerts/" not in f"{message.text}{message.html}{message.blocks}"
