"""Recorded oddities of a real Matomo, read through the whole path: times, values, text, losses, other sites."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.errors import INCOMPLETE
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.passes import PassResult
from matokit_pipelines.warehouse.refresh import Home, loss_in_words
from tests.replay import Replay, home_at, recording, rows_of, utc, visits_in

SENT = recording("sent.special-events")["events"]


def read(folder: Path, day: date, *names: str, **more: Any) -> tuple[Home, PassResult, Replay]:
    """Read recordings as the site's log of `day`, on the day after."""
    replay = Replay(visits_in(*names), **more.pop("server", {}))
    with replay.serving():
        noon_after = datetime.combine(day, time(12), UTC) + timedelta(days=1)
        home = home_at(folder, replay.url, now=noon_after, start=day, **more)
        [result] = refresh.extract(home)
    assert result.error is None
    return home, result, replay


def sent(case: str, key: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """What was sent as events in one case, in the order of the names."""
    return [key(e) for e in SENT if e["case"] == case and e.get("e_c")]


def stored(value: str) -> Any:
    """What Matomo keeps of a sent e_v: matomo-api facts on parsing and three decimals."""
    kept = {"12.3456789": 12.346, "abc": 0.0, "true": 0.0, "1,5": 1.0, "0.0001": 0.0, "": None}
    return kept[value] if value in kept else float(value)


def test_autumn_night_gives_the_true_instants(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 10, 25), "Live.getLastVisitsDetails.dst-end")
    events = rows_of(home, "select name, event_ts, fold_ambiguous from raw.matomo_events")
    assert len(events) == 9
    for name, moment, ambiguous in events:
        assert f"utc_{moment:%H:%M}" == name, "the name is the UTC time at which it was sent"
        assert not ambiguous


def test_event_values_are_kept_as_the_server_gives_them(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 11, 18), "Live.getLastVisitsDetails.event-values")
    found = dict(rows_of(home, "select name, value from raw.matomo_events"))
    expected = {e["e_n"]: stored(e["e_v"]) if "e_v" in e else None for e in SENT if e["case"] == "values"}
    assert found == expected
    assert found["v_missing"] is None
    assert found["v_zero"] == 0.0


def test_dimensions_not_sent_and_sent_empty_stay_apart(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 11, 18), "Live.getLastVisitsDetails.dimensions")
    found = sorted(
        rows_of(home, "select coalesce(name, '-'), value, os_raw, architecture_raw, commit_raw from raw.matomo_events"),
        key=repr,
    )
    expected = sorted(
        (
            (e.get("e_n", "-"), float(e["e_v"]), e.get("dimension1"), e.get("dimension2"), e.get("dimension3"))
            for e in SENT
            if e["case"] == "dims" and e.get("e_c")
        ),
        key=repr,
    )
    assert found == expected
    assert ("dims_all_empty", 1.0, "", "", "") in found
    assert ("dims_missing", 1.0, None, None, None) in found
    assert sum(row[0] == "same_second_a" for row in found) == 2, "two equal events in one second are two events"


def test_text_comes_back_as_sent(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 11, 18), "Live.getLastVisitsDetails.unicode")
    found = {
        row[0]: row[1:]
        for row in rows_of(home, "select name, category, os_raw, architecture_raw from raw.matomo_events")
    }
    assert found["安装 🎉 café"] == ("Installer", "Дарвин 15", "ａrm64")
    assert found["a & b <c> \"d\" 'e'"][1:] == ("x & y <z>", '"q"')
    assert "spaced  name" in found, "trimmed, inner blanks kept"
    assert "new\nline\tand tab" in found
    assert found["émile"][0] == "Instaéller"
    assert found["L" * 4000][1] == "D" * 250, "cut by the server"
    assert len(found) == 8


def test_midnight_of_the_site_splits_a_run_in_two_visits(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 11, 17), "Live.getLastVisitsDetails.local-midnight")
    found = rows_of(home, "select name, event_ts, visit_id from raw.matomo_events order by event_ts")
    expected = [(e["e_n"], datetime.fromtimestamp(e["cdt"], UTC)) for e in SENT if e["case"] == "midnight"]
    assert [row[:2] for row in found] == expected
    assert len({row[2] for row in found}) == 2


def test_midnight_in_utc_splits_nothing(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 11, 18), "Live.getLastVisitsDetails.utc-midnight")
    found = rows_of(home, "select name, event_ts, visit_id from raw.matomo_events order by event_ts")
    expected = [(e["e_n"], datetime.fromtimestamp(e["cdt"], UTC)) for e in SENT if e["case"] == "utcmidnight"]
    assert [row[:2] for row in found] == expected
    assert len({row[2] for row in found}) == 1


def test_long_visit_keeps_each_time(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 11, 16), "Live.getLastVisitsDetails.long-visit")
    times = [row[0] for row in rows_of(home, "select event_ts from raw.matomo_events order by 1")]
    assert len(times) == 12
    assert {later - sooner for sooner, later in pairwise(times)} == {timedelta(minutes=25)}
    visit = recording("Live.getLastVisitsDetails.long-visit")["body"][0]
    assert times[0].timestamp() == visit["firstActionTimestamp"]
    assert times[-1].timestamp() == visit["lastActionTimestamp"]


def test_visitor_id_made_by_the_server_is_kept(tmp_path: Path) -> None:
    home, _, _ = read(tmp_path, date(2026, 11, 14), "Live.getLastVisitsDetails.no-visitor-id")
    [(events, visitors, nothing)] = rows_of(
        home, "select count(*), count(distinct visitor_id), count(*) filter (visitor_id is null) from raw.matomo_events"
    )
    assert (events, visitors, nothing) == (4, 1, 0)


def test_truncated_visit_is_told_once_and_stays_known(tmp_path: Path) -> None:
    day = date(2026, 11, 15)
    replay = Replay(visits_in("Live.getLastVisitsDetails.truncated-visit"))
    with replay.serving():
        home = home_at(tmp_path, replay.url, now=utc(2026, 11, 16, 12), start=day)
        [first] = refresh.extract(home)
        [again] = refresh.extract(home, days=(day, day))
    assert (first.landed, first.truncated) == (500, 150)
    assert loss_in_words([first])
    assert "150" in (refresh.loss_in_words([first]) or "")
    assert (again.received, again.truncated) == (500, 0)
    assert refresh.loss_in_words([again]) is None, "exit code 4 once, in the pass that finds it"
    assert (
        rows_of(home, "select status, truncated from ledger.windows where received = 500")
        == [("complete_with_loss", 150)] * 2
    )
    assert rows_of(home, "select visit_id, site_date, truncated from ledger.truncated_visits") == [(493, day, 150)]
    assert first.watermark == utc(2026, 11, 16, 11, 50), "a known loss does not hold the watermark"


def test_truncation_of_a_day_explains_the_reports_greater_count(tmp_path: Path) -> None:
    day = "2026-11-15"
    short = [{"label": "Installer_CI", "nb_events": "650"}]
    home, result, _ = read(
        tmp_path, date(2026, 11, 15), "Live.getLastVisitsDetails.truncated-visit", server={"reports": {day: short}}
    )
    found = rows_of(home, "select reported, extracted, truncated, verdict from ledger.reconciliation")
    assert found == [(650, 500, 150, "truncated")]
    assert result.differing_days == ()


@pytest.mark.parametrize("name", ["site2", "site2-events", "site2-ecommerce"])
def test_other_actions_goals_and_orders_are_no_events(tmp_path: Path, name: str) -> None:
    full = f"Live.getLastVisitsDetails.{name}"
    sites = recording("SitesManager.getSitesWithAtLeastViewAccess")["body"]
    server = {"site": next(site for site in sites if site["idsite"] == 2), "dimensions": []}
    home, result, _ = read(
        tmp_path, date(2026, 11, 18), full, site="2", source="dimensions = {}", zone="UTC", server=server
    )
    expected = sorted(
        (str(action["pageId"]), datetime.fromtimestamp(action["timestamp"], UTC), action["eventCategory"])
        for visit in recording(full)["body"]
        for action in visit["actionDetails"]
        if action["type"] == "event"
    )
    found = sorted(rows_of(home, "select event_id, event_ts, category from raw.matomo_events"))
    assert found == expected
    assert result.quarantined == 0


def test_report_that_is_not_archived_is_no_loss(tmp_path: Path) -> None:
    not_made = recording("archiving-off.Events.getCategory.not-archived")["body"]
    names = [f"fixture.2026-11-14.keyset.{page}" for page in range(3)]
    home, result, _ = read(tmp_path, date(2026, 11, 14), *names, server={"reports": {"2026-11-14": not_made}})
    assert rows_of(home, "select reported, extracted, verdict from ledger.reconciliation") == [(0, 194, "not_archived")]
    assert loss_in_words([result]) is None


def test_empty_site_and_empty_day_are_complete(tmp_path: Path) -> None:
    home, result, _ = read(tmp_path, date(2026, 11, 18), "Live.getLastVisitsDetails.empty-site")
    assert (result.received, result.landed) == (0, 0)
    assert {row[0] for row in rows_of(home, "select status from ledger.windows")} == {"complete"}
    assert result.watermark == utc(2026, 11, 19, 11, 50), "a quiet night moves on"


def test_report_that_counts_more_has_the_day_read_again_and_told(tmp_path: Path) -> None:
    names = [f"fixture.2026-11-14.keyset.{page}" for page in range(3)]
    more = {"2026-11-14": [{"label": "Installer", "nb_events": "200"}]}
    home, result, replay = read(tmp_path, date(2026, 11, 14), *names, server={"reports": more})
    assert result.differing_days == (date(2026, 11, 14),)
    assert loss_in_words([result])
    days = [p for m, p in replay.asked if m.startswith("Live") and p.get("date") == "2026-11-14"]
    assert len(days) == 2
    assert INCOMPLETE == 4
    assert rows_of(home, "select verdict, reads from ledger.reconciliation") == [("differs", 1)]


def test_visit_that_comes_back_whole_is_no_longer_withheld(tmp_path: Path) -> None:
    day = date(2026, 11, 15)
    replay = Replay(visits_in("Live.getLastVisitsDetails.truncated-visit"))
    with replay.serving():
        home = home_at(tmp_path, replay.url, now=utc(2026, 11, 16, 12), start=day)
        refresh.extract(home)
        del replay.visits[0]["truncatedActionsCount"]  # as when visitor_log_maximum_actions_per_visit is raised
        refresh.extract(home, days=(day, day))
    assert rows_of(home, "select * from ledger.truncated_visits") == []


def test_log_that_is_suddenly_empty_takes_nothing_away(tmp_path: Path) -> None:
    names = [f"fixture.2026-11-14.keyset.{page}" for page in range(3)]
    replay = Replay(visits_in(*names))
    with replay.serving():
        home = home_at(tmp_path, replay.url, now=utc(2026, 11, 14, 22, 59))
        refresh.extract(home)
        replay.visits.clear()
        refresh.extract(home_at(tmp_path, replay.url, now=utc(2026, 11, 15, 2, 30)))  # look back, and the closed day
    assert rows_of(home, "select count(*), count(vanished_at) from raw.matomo_events") == [(194, 0)]
    details = rows_of(home, "select detail from ledger.windows where status = 'incomplete'")
    assert details == [("the server gives no visits of this day any more; what was landed is kept",)]
