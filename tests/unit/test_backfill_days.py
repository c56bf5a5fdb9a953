"""Days of the project as whole days of a site: every instant of the former lies in the latter, and no day too many."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from matokit_pipelines.warehouse.backfill import overlapping_days
from matokit_pipelines.windows import day_window, days_window

ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Copenhagen",
        "America/New_York",
        "Asia/Kolkata",
        "Pacific/Auckland",
        "Pacific/Apia",
        "Asia/Kathmandu",
    ]
).map(ZoneInfo)
DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))


@given(DAYS, st.integers(0, 40), ZONES, ZONES)
@example(date(2026, 10, 25), 0, ZoneInfo("Europe/Copenhagen"), ZoneInfo("UTC"))
@example(date(2026, 3, 29), 0, ZoneInfo("Europe/Copenhagen"), ZoneInfo("America/New_York"))
def test_site_days_hold_the_projects_days_and_each_shares_an_instant(
    first: date, more: int, zone: ZoneInfo, site: ZoneInfo
) -> None:
    last = first + timedelta(days=more)
    asked = days_window(first, last, zone)
    start, end = overlapping_days((first, last), zone, site)
    read = days_window(start, end, site)
    assert read.start <= asked.start
    assert asked.end <= read.end
    for edge in (start, end):
        day = day_window(edge, site)
        assert day.start < asked.end
        assert asked.start < day.end


@given(DAYS, st.integers(0, 40), ZONES)
def test_a_site_in_the_projects_zone_has_the_same_days(first: date, more: int, zone: ZoneInfo) -> None:
    days = (first, first + timedelta(days=more))
    assert overlapping_days(days, zone, zone) == days
