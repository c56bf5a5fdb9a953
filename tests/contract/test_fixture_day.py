"""A recorded day of a real Matomo, read over HTTP into the warehouse, gives exactly the 194 events that were sent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matokit_pipelines.sources.matomo_visits import Reading, read_visits
from matokit_pipelines.warehouse import refresh
from tests.replay import COPENHAGEN, FIXTURE_DAY, TOKEN, fixture_day, home_at, recording, rows_of, utc, visits_in

SENT = recording("fixture.2026-11-14.sent")["events"]
DURING = utc(2026, 11, 14, 22, 59, 30)  # the site's day is not over: read by cursor
AFTER = utc(2026, 11, 15, 12)  # it is: read as a day's slice
LANDED = (
    "select event_ts, category, action, name, value, os_raw, architecture_raw, commit_raw "
    "from raw.matomo_events where vanished_at is null"
)


def sent_rows() -> Counter[tuple[object, ...]]:
    """What was sent, as it should be stored: the value is absent (None) or a number, never one for the other."""
    return Counter(
        (
            datetime.fromtimestamp(e["cdt"], UTC), e["e_c"], e["e_a"], e.get("e_n"),
            None if e.get("e_v") in (None, "") else float(e["e_v"]),
            e.get("dimension1"), e.get("dimension2"), e.get("dimension3"),
        )
        for e in SENT
    )  # fmt: skip


@pytest.mark.parametrize("now", [DURING, AFTER], ids=["by cursor", "by day slices"])
@pytest.mark.parametrize("page_size", [1, 7, 20, 500])
def test_fixture_day_is_landed_exactly(tmp_path: Path, now: datetime, page_size: int) -> None:
    with fixture_day().serving() as server:
        home = home_at(tmp_path, server.url, now=now, source=f"page_size = {page_size}")
        [result] = refresh.extract(home)
    assert result.error is None
    assert Counter(rows_of(home, LANDED)) == sent_rows()
    assert len(SENT) == 194
    assert (result.quarantined, result.truncated, result.vanished, result.differing_days) == (0, 0, 0, ())
    by_day = [params for method, params in server.asked if method.startswith("Live") and "period" in params]
    assert bool(by_day) == (now == AFTER)
    assert all("filter_offset" not in params for _, params in server.asked)


def test_fixture_day_agrees_with_the_servers_report(tmp_path: Path) -> None:
    with fixture_day().serving() as server:
        home = home_at(tmp_path, server.url, now=AFTER)
        refresh.extract(home)
    found = rows_of(home, "select site_date, reported, extracted, truncated, verdict from ledger.reconciliation")
    assert found == [(FIXTURE_DAY, 194, 194, 0, "equal")]


def test_values_zero_and_missing_stay_apart(tmp_path: Path) -> None:
    with fixture_day().serving() as server:
        home = home_at(tmp_path, server.url, now=AFTER)
        refresh.extract(home)
    [(zeros, missing)] = rows_of(
        home, "select count(*) filter (value = 0), count(*) filter (value is null) from raw.matomo_events"
    )
    assert zeros == sum("e_v" in e and float(e["e_v"]) == 0 for e in SENT)
    assert missing == sum("e_v" not in e for e in SENT)
    assert zeros > 0


def test_token_goes_in_the_body_only(tmp_path: Path) -> None:
    with fixture_day().serving() as server:
        refresh.extract(home_at(tmp_path, server.url, now=AFTER))
    assert server.tokens == {TOKEN}
    assert all(TOKEN not in address for address in server.addresses)


def test_event_read_in_two_pages_is_counted_as_a_duplicate_and_kept_once(tmp_path: Path) -> None:
    with fixture_day().serving() as server:
        home = home_at(tmp_path, server.url, now=AFTER, source="page_size = 20")
        refresh.extract(home)
    windows = rows_of(home, "select received, duplicates, quarantined, landed from ledger.windows order by window_id")
    assert windows[0][1] > 0, "neighbouring pages share a visit"
    assert all(received == duplicates + quarantined + landed for received, duplicates, quarantined, landed in windows)
    assert windows[0][3] == 194


def test_day_read_by_offset_holds_the_same_events() -> None:
    """The recordings were taken in two ways; a reader of either must find the same."""
    found = []
    for way in ("keyset", "offset"):
        reading = Reading()
        pages = [f"fixture.2026-11-14.{way}.{page}" for page in range(3)]
        read_visits(visits_in(*pages), COPENHAGEN, {"os": 1, "architecture": 2, "commit": 3}, reading)
        found.append(sorted((row["event_id"], row["event_ts"], row["name"] or "") for row in reading.rows))
    assert found[0] == found[1]
    assert len(found[0]) == 194
