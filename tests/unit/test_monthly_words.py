"""What the monthly report says: the headline by rule, and that no sentence claims more than the numbers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from matokit_pipelines.reports.monthly.numbers import monthly_numbers
from matokit_pipelines.reports.monthly.pages import monthly_document
from matokit_pipelines.reports.monthly.words import findings
from tests.monthly_marts import LAST, MONTH, NOW, Try, snapshot_of, three_months, tries

BEFORE = date(2026, 9, 15)
ISSUE = tries(200, 4) + tries(200, 4, day=BEFORE) + tries(40, 20, name="x", os_release="macOS 26.0")
FELL = tries(300, 60) + tries(300, 3, day=BEFORE)
NEW_MAJOR = tries(200, 4) + tries(200, 4, day=BEFORE) + tries(20, 0, name="x", os_release="macOS 26.0")
STEADY = tries(200, 4) + tries(200, 4, day=BEFORE)


def said(events: list[Try], **rest: Any) -> dict[str, Any]:
    """The findings of these events as they stand in the JSON, blanks and signs as on a keyboard."""
    with snapshot_of(events, **rest) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
        found = monthly_document(numbers, findings(numbers))["findings"]
    return {
        name: _plain(value) if isinstance(value, str) else [_plain(one) for one in value]
        for name, value in found.items()
    }


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")


def test_an_issue_comes_first() -> None:
    """Though success fell too, and a major version is new."""
    events = ISSUE + tries(40, 30, name="f", os_release="macOS 14.2")
    found = said(events)
    assert found["headline_kind"] == "issue"
    assert found["headline"] == (
        "macOS 14.2 fails more than the other versions, more than chance: 75.0 % of first tries failed, "
        "10.0 % expected. It is not the only one."
    )
    assert any(
        one.startswith("Success fell to 80.7 % from 98.0 % (-17.3 points), more than chance")
        for one in found["details"]
    )
    assert any(one.startswith("macOS 26 is new: ") for one in found["details"])
    assert (
        found["subject"] == "Installer month 2026-10: success 80.7 % (98.0 % before), macOS 14.2 fails more than others"
    )


def test_then_a_change_of_success() -> None:
    found = said(FELL + tries(20, 4, name="x", os_release="macOS 26.0"))
    assert found["headline_kind"] == "success_change"
    assert found["headline"] == "Success fell to 80.0 % from 99.0 % (-19.0 points), more than chance."
    assert found["details"][0] == (
        "python_install got worse, more than chance: 64 of 320 events failed, 3 of 300 in the 30 days before."
    )
    assert found["details"][1].startswith("macOS 26 is new: first seen Sat 31 Oct 12:00, on 20 machines")


def test_components_that_got_worse_are_named_the_worst_first() -> None:
    """One that merely runs more often is not."""
    before = [one for name in "abcd" for one in tries(100, 4, day=BEFORE, component=name, name=name)]
    now = [
        one
        for name, failed in zip("abcd", (30, 60, 4, 5), strict=True)
        for one in tries(100, failed, component=name, name=name)
    ]
    assert [one.split()[0] for one in said(before + now)["details"]] == ["b", "a"]


def test_a_rise_is_called_one() -> None:
    found = said(tries(300, 3) + tries(300, 60, day=BEFORE))
    assert found["headline"] == "Success rose to 99.0 % from 80.0 % (+19.0 points), more than chance."


def test_then_a_new_major_version() -> None:
    found = said(NEW_MAJOR)
    assert found["headline_kind"] == "new_major"
    assert found["headline"] == (
        "macOS 26 is new: first seen Sat 31 Oct 12:00, on 20 machines, 9.1 % of installations since then."
    )


def test_a_new_major_version_with_few_events_is_no_headline() -> None:
    events = tries(200, 4) + tries(200, 4, day=BEFORE) + tries(9, 0, name="x", os_release="macOS 26.0")
    found = said(events)
    assert found["headline_kind"] == "steady"
    assert found["new_title"] == "macOS 26.0 is the only new OS version"


def test_else_nothing_is_notable() -> None:
    found = said(STEADY)
    assert found["headline_kind"] == "steady"
    assert found["headline"] == "No notable change: 98.0 % of 200 events succeeded (98.0 % in the 30 days before)."
    assert found["details"] == []
    assert found["subject"] == "Installer month 2026-10: success 98.0 % (98.0 % before)"


def test_a_component_that_got_worse_is_not_passed_over() -> None:
    calm = [one for day in (LAST, BEFORE) for one in tries(2000, 40, day=day, component="calm", name="c")]
    events = calm + tries(60, 1, day=BEFORE, component="odd", name="o") + tries(60, 25, component="odd", name="o")
    found = said(events)
    assert found["headline"].startswith("No notable change overall, but single components got worse: 96.8 % of")
    assert found["details"][0].startswith("odd got worse, more than chance: 25 of 60 events failed, 1 of 60")


def test_a_low_rate_that_stays_is_said() -> None:
    found = said(tries(200, 60) + tries(200, 60, day=BEFORE))
    assert found["headline"].startswith("No notable change, still below 75 %: 70.0 % of 200 events succeeded")


def test_a_difference_that_could_be_chance_is_not_called_a_change() -> None:
    found = said(tries(100, 6) + tries(100, 3, day=BEFORE))
    assert found["headline_kind"] == "steady"
    assert "more than chance" not in found["headline"]


def test_an_issue_that_could_be_chance_is_none() -> None:
    found = said(STEADY + tries(20, 1, name="x", os_release="macOS 15.2"))
    assert found["issues_title"] == "No OS version fails more than the others by more than chance"


@pytest.mark.parametrize(
    ("events", "rest", "kind", "headline"),
    [
        ([], {"watermark": None}, "no_data", "No data of this month has been read yet."),
        (
            tries(3, day=BEFORE), {}, "no_events",
            "No installer reported anything in the 30 days to 31 Oct; 3 events came in the 30 days before.",
        ),
        (tries(9, 8), {}, "too_few", "Too few events to judge: 8 of 9 events failed in the 30 days to 31 Oct."),
        (tries(1), {}, "too_few", "Too few events to judge: 0 of 1 event failed in the 30 days to 31 Oct."),
        (
            tries(20, 2), {}, "first_month",
            "90.0 % of 20 events succeeded in the 30 days to 31 Oct; there is nothing before to compare.",
        ),
        (
            tries(20, 2) + tries(5, day=BEFORE), {}, "too_few",
            "90.0 % of 20 events succeeded in the 30 days to 31 Oct; too few machines to compare with before.",
        ),
        (
            STEADY, {"watermark": datetime(2026, 10, 31, 9, tzinfo=UTC)}, "not_compared",
            "98.0 % of 200 events succeeded in the 30 days to 31 Oct; nothing is compared before they are whole.",
        ),
    ],
)  # fmt: skip
def test_without_enough_to_compare_the_page_says_so(
    events: list[Try], rest: dict[str, Any], kind: str, headline: str
) -> None:
    events = events + tries(1, day=date(2026, 6, 1), name="old") if kind != "no_data" else events
    found = said(events, **rest)
    assert (found["headline_kind"], found["headline"]) == (kind, headline)


def test_another_mix_of_components_does_not_hide_what_each_of_them_does() -> None:
    """Success rises since the fragile component is run less, and yet each component fails more."""
    before = tries(40, 2, day=BEFORE, component="safe") + tries(200, 80, day=BEFORE, component="fragile", name="f")
    now = tries(400, 60, component="safe") + tries(20, 14, component="fragile", name="f")
    found = said(now + before)
    assert found["headline"] == (
        "Components did worse than in the 30 days before, more than chance: 82.4 % success (65.8 % before)."
    )


def test_the_details_name_where_an_issue_is() -> None:
    mine = tries(40, 20, name="x", os_release="macOS 26.0", component="latex_install", error_type="disk")
    found = said(STEADY + mine + tries(40, 1, component="latex_install", name="y"))
    assert found["details"][0] == (
        "The difference is largest at latex_install: 20 of 40 events failed, most often disk; on the others 1 of 40."
    )


def test_a_recommendation_says_consider_and_carries_its_evidence() -> None:
    found = said(three_months())
    assert found["deprecation_title"] == "Consider ending support for macOS 12"
    (sentence,) = found["recommendations"]
    assert sentence == (
        "Consider ending support for macOS 12: 1.5 %, 1.5 %, 1.5 % of installations in the last three months (45 in "
        "all); in practice without security updates from 16 Sep 2024 on, when macOS 15 came out (the vendor publishes "
        "no dates; Apple security releases, as of 31 Mar 2026). 15 machines would be affected (estimate, of the last "
        "30 days)."
    )
    assert found["details"][-1] == (
        "Consider ending support for macOS 12: 1.5 % of installations, and its vendor's support in practice ended on "
        "16 Sep 2024."
    )


def test_a_version_that_fails_is_recommended_with_both_rates() -> None:
    """`macOS 14` is in support: only its failures speak against it."""
    events = [
        Try(one.day, one.machine, one.machine[0] == "o" and int(one.machine[1:]) < 12, os_release=one.os_release)
        for one in three_months("macOS 14.2")
    ]
    found = said(events)
    assert found["details"][-1] == (
        "Consider ending support for macOS 14: 1.5 % of installations, and success 20.0 % against 100.0 % elsewhere, "
        "more than chance."
    )
    assert found["recommendations"][0].startswith(
        "Consider ending support for macOS 14: 1.5 %, 1.5 %, 1.5 % of installations in the last three months (45 in "
        "all); success 20.0 % against 100.0 % elsewhere, more than chance. 15 machines would be affected"
    )


def test_support_that_a_vendor_dates_is_said_with_its_page() -> None:
    events = [
        Try(one.day, one.machine, os_family="Windows", os_release="Windows 8.1") if one.machine[0] == "o" else one
        for one in three_months()
    ]
    (sentence,) = said(events)["recommendations"]
    assert (
        "; support by its vendor ended on 10 Jan 2023 (Microsoft Lifecycle: Windows 8.1, as of 31 Mar 2026)."
        in sentence
    )


def test_a_version_to_watch_is_watched_and_no_more() -> None:
    shares = {8: 48, 9: 40, 10: 30}
    events = [
        one
        for one in three_months("macOS 14.2", old=48)
        if one.machine[0] == "n" or int(one.machine[1:]) < shares[one.day.month]
    ]
    found = said(events)
    assert found["deprecation_title"] == "No version to end support for; watch macOS 14"
    (sentence,) = found["recommendations"]
    assert sentence.startswith(
        "Watch macOS 14: 4.6 %, 3.9 %, 3.0 % of installations in the last three months (118 in all)"
    )
    assert "onsider" not in sentence


@pytest.mark.parametrize("events", [ISSUE, FELL, NEW_MAJOR, STEADY, three_months(), []])
def test_no_sentence_uses_words_of_statistics_or_gives_orders(events: list[Try]) -> None:
    found = said(events)
    text = " ".join(
        [*(one for one in found.values() if isinstance(one, str)), *found["details"], *found["recommendations"]]
    )
    assert not re.search(r"signific|p-value|confidence|probab|\bmust\b|\bshould\b|deprecat", text, re.IGNORECASE)
    assert not re.search(r"\bNone\b|\bnan\b|\{|\}", text)


def test_titles_name_what_they_find() -> None:
    found = said(ISSUE)
    assert found["segments_title"] == "macOS 15.1 on arm64 is used most: 200 of 240 events"
    assert (
        found["adoption_title"]
        == "100.0 % of installations on Macs are on Apple silicon, ±0.0 points against the 30 days before"
    )
    assert found["issues_title"] == "macOS 26.0 has a compatibility issue"
    assert found["trend_title"] == "macOS 26 gained most: +16.7 points since Sep 2026, to 16.7 % of installations"


def test_a_segment_that_got_worse_is_the_title_of_segments() -> None:
    events = tries(300, 3) + tries(300, 3, day=BEFORE)
    events += tries(100, 50, name="x", architecture="x86_64") + tries(
        100, 1, day=BEFORE, name="x", architecture="x86_64"
    )
    assert said(events)["segments_title"] == (
        "macOS 15.1 on x86_64 got worse, more than chance: 50.0 % success, 99.0 % before"
    )


def test_hostile_names_stay_names_in_sentences() -> None:
    hostile = "{watermark|instant}</script><!channel>=1+1\u202e"
    events = STEADY + tries(40, 30, name="x", os_family="unknown", os_release=hostile)
    found = said(events)
    assert found["headline"].startswith("{watermark|instant}</script><!channel>=1+1\ufffd fails more than")
