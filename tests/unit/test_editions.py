"""Which edition of each report is the newest, when it is due, what it waits for: also over DST days and holidays."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines import state
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.orchestration import editions
from matokit_pipelines.orchestration.editions import daily_edition, monthly_edition, newest, weekly_edition
from matokit_pipelines.orchestration.partitions import FIRST_DAY, first_day
from matokit_pipelines.reports.rendering import write_report
from matokit_pipelines.reports.sending import send_report
from matokit_pipelines.settings import Settings, load
from matokit_pipelines.warehouse.refresh import Home

ZONE = ZoneInfo("Europe/Copenhagen")
MONDAY = date(2026, 11, 9)


def settings(**alerts: object) -> Settings:
    return Settings.model_validate({"project": {"timezone": str(ZONE)}, "alerts": alerts})


def local(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("monday", "due", "needs"),
    [
        (date(2026, 11, 9), local(2026, 11, 16, 7, 30), local(2026, 11, 16, 0)),
        (date(2026, 10, 19), datetime(2026, 10, 26, 6, 30, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        (date(2026, 3, 23), datetime(2026, 3, 30, 5, 30, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),
    ],
)
def test_a_week_is_due_on_monday_morning_and_needs_all_of_sunday(monday: date, due: datetime, needs: datetime) -> None:
    edition = weekly_edition(monday, ZONE)
    assert (edition.due, edition.needs) == (due, needs)
    assert edition.key == monday.isoformat()


def test_a_day_is_due_at_the_hour_of_the_daily_rules_in_their_zone() -> None:
    assert daily_edition(date(2026, 11, 20), settings()).due == local(2026, 11, 20, 7)
    elsewhere = daily_edition(date(2026, 11, 20), settings(daily_at="06:15", timezone="America/New_York"))
    assert elsewhere.due == datetime(2026, 11, 20, 11, 15, tzinfo=UTC)
    assert elsewhere.needs == elsewhere.due
    assert elsewhere.patience == timedelta()
    assert daily_edition(date(2026, 10, 25), settings()).due == datetime(2026, 10, 25, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "alerts", "due"),
    [
        (date(2026, 10, 1), {}, local(2026, 11, 2, 8)),  # 1 November is a Sunday
        (date(2026, 11, 1), {}, local(2026, 12, 1, 8)),
        (date(2026, 12, 1), {"holiday_country": "DK"}, local(2027, 1, 4, 8)),  # New Year is a Friday
        (date(2026, 12, 1), {}, local(2027, 1, 1, 8)),
        (date(2026, 10, 1), {"holidays": ["2026-11-02"]}, local(2026, 11, 3, 8)),
    ],
)
def test_a_month_is_due_on_the_first_business_day_after_it(
    month: date, alerts: dict[str, object], due: datetime
) -> None:
    edition = monthly_edition(month, settings(**alerts))
    assert edition.due == due
    assert edition.period == f"{month:%Y-%m}"


@pytest.mark.parametrize("report", ["weekly", "daily", "monthly"])
@given(st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_newest_edition_is_due_and_the_next_one_is_not(report: str, now: datetime) -> None:
    used = settings(holiday_country="DK")
    found = newest(report, used, now)
    after = {
        "weekly": lambda: weekly_edition(found.day + timedelta(days=7), ZONE),
        "daily": lambda: daily_edition(found.day + timedelta(days=1), used),
        "monthly": lambda: monthly_edition((found.day + timedelta(days=31)).replace(day=1), used),
    }[report]()
    assert found.due <= now < after.due
    assert found.needs <= found.due
    assert found.due < after.due


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "matokit.toml").write_text('[project]\ntimezone = "Europe/Copenhagen"\n', encoding="utf-8")
    return Home.of(load(environ={}, cwd=tmp_path), FixedClock(local(2026, 11, 16, 8)))


def written(home: Home, report: str, period: str, watermark: datetime | None, made: datetime | None = None) -> None:
    file = editions.ReportFiles.at(home.loaded.home / "reports", report, period).json
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"watermark": watermark and watermark.isoformat(), "now": (made or home.clock.now()).isoformat()}
    file.write_text(json.dumps(document), encoding="utf-8")


def waits(
    home: Home, report: str, known: datetime | None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> str | None:
    monkeypatch.setattr(editions, "complete_to", lambda home: known)
    return editions.why_to_wait(home, newest(report, home.loaded.settings, now), now)


@pytest.mark.parametrize(
    ("starts", "first"),
    [
        ([], FIRST_DAY),
        ([date(2026, 11, 16)], date(2026, 11, 16)),
        ([date(2026, 11, 16), date(2026, 11, 2)], date(2026, 11, 2)),
        ([date(2026, 11, 16), None], FIRST_DAY),
        ([date(2026, 11, 17)], FIRST_DAY),
    ],
)
def test_records_begin_with_the_first_source_and_one_without_a_date_may_reach_back(
    starts: list[date | None], first: date
) -> None:
    sources = [
        {
            "name": f"s{number}",
            "kind": "matomo",
            "url": "https://m.example",
            "site_id": str(number + 1),
            "start_date": start,
        }
        for number, start in enumerate(starts)
    ]
    used = Settings.model_validate({"project": {"timezone": str(ZONE)}, "sources": sources})
    assert first_day(used, date(2026, 11, 16)) == first


def test_a_home_without_a_snapshot_makes_nothing(home: Home) -> None:
    assert list(editions.due_editions(home)) == []


def test_a_weekly_report_waits_three_hours_for_its_data_and_no_longer(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, due = local(2026, 11, 15, 23), local(2026, 11, 16, 7, 30)
    said = waits(home, "weekly", known, due, monkeypatch)
    assert said == "The weekly report of 2026-W46 waits for its last events: all is complete to 2026-11-15 22:00 UTC."
    assert waits(home, "weekly", known, due + timedelta(minutes=179), monkeypatch) is not None
    assert waits(home, "weekly", known, due + timedelta(hours=3), monkeypatch) is None
    assert waits(home, "weekly", local(2026, 11, 16, 0), due, monkeypatch) is None
    assert waits(home, "weekly", None, due, monkeypatch) is not None
    assert waits(home, "weekly", None, due + timedelta(hours=5), monkeypatch) == (
        "The weekly report of 2026-W46 waits: no source is known to be complete up to any time."
    )


def test_the_daily_report_never_waits_and_is_made_again_once_when_all_is_known(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = local(2026, 11, 16, 7)
    known = due - timedelta(hours=5)
    assert waits(home, "daily", known, due, monkeypatch) is None
    written(home, "daily", "2026-11-16", known)
    for more in (known + timedelta(hours=1), due - timedelta(seconds=1)):
        assert waits(home, "daily", more, due + timedelta(hours=1), monkeypatch) is not None
    assert waits(home, "daily", due, due + timedelta(hours=3), monkeypatch) is None
    written(home, "daily", "2026-11-16", due)
    assert waits(home, "daily", due + timedelta(hours=2), due + timedelta(hours=5), monkeypatch) is not None


def test_a_page_made_too_early_or_damaged_is_made_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    now = local(2026, 11, 17, 8)
    written(home, "weekly", "2026-W46", local(2026, 11, 15, 12))
    assert waits(home, "weekly", local(2026, 11, 15, 12), now, monkeypatch) == (
        "The weekly report of 2026-W46 is made."
    )
    assert waits(home, "weekly", local(2026, 11, 15, 13), now, monkeypatch) is None
    written(home, "weekly", "2026-W46", local(2026, 11, 16, 1))
    assert waits(home, "weekly", local(2026, 11, 17, 1), now, monkeypatch) is not None
    editions.ReportFiles.at(home.loaded.home / "reports", "weekly", "2026-W46").json.write_text("[", "utf-8")
    assert waits(home, "weekly", local(2026, 11, 17, 1), now, monkeypatch) is None


@pytest.mark.parametrize(("report", "hours"), [("weekly", 72), ("daily", 12), ("monthly", 168)])
def test_old_news_are_sent_to_nobody(report: str, hours: int) -> None:
    edition = newest(report, settings(), local(2026, 11, 16, 8))
    assert edition.is_news(edition.due)
    assert edition.is_news(edition.due + timedelta(hours=hours))
    assert not edition.is_news(edition.due + timedelta(hours=hours, seconds=1))


def test_a_page_made_by_hand_before_its_hour_is_sent_at_its_hour(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    due = local(2026, 11, 16, 7, 30)
    write_report(
        home.loaded.home / "reports", "weekly", "2026-W46", html="", text="", message=Message("week", "text"),
        document={"watermark": due.isoformat(), "now": (due - timedelta(minutes=30)).isoformat()},
    )  # fmt: skip
    assert waits(home, "weekly", due, due, monkeypatch) is None
    send_report(home.loaded, "weekly", "2026-W46", now=due)
    assert waits(home, "weekly", due, due + timedelta(minutes=15), monkeypatch) == (
        "The weekly report of 2026-W46 is made."
    )


def test_a_report_whose_sending_was_cut_off_is_asked_for_again_while_it_is_news(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = local(2026, 11, 2, 8)
    write_report(
        home.loaded.home / "reports", "monthly", "2026-10", html="", text="", message=Message("month", "text"),
        document={"watermark": due.isoformat(), "now": due.isoformat()},
    )  # fmt: skip
    assert waits(home, "monthly", due, due + timedelta(hours=1), monkeypatch) is None
    assert waits(home, "monthly", due, due + timedelta(days=8), monkeypatch) is not None


def test_a_daily_page_made_by_hand_before_its_hour_is_made_again_at_its_hour(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = local(2026, 11, 16, 7)
    early = due - timedelta(hours=1)
    written(home, "daily", "2026-11-16", early, made=early)
    assert waits(home, "daily", due - timedelta(minutes=5), due, monkeypatch) is None
    written(home, "daily", "2026-11-16", due - timedelta(minutes=5), made=due)
    assert waits(home, "daily", due - timedelta(minutes=5), due + timedelta(minutes=30), monkeypatch) is not None


def test_a_late_report_says_what_it_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    due = local(2026, 11, 16, 7, 30)
    assert waits(home, "weekly", local(2026, 11, 15, 23), due, monkeypatch) is not None
    document = {"watermark": due.isoformat(), "now": due.isoformat()}
    for report, period in (("weekly", "2026-W46"), ("monthly", "2026-10")):
        write_report(
            home.loaded.home / "reports", report, period, html="", text="", message=Message("", "text"),
            document=document,
        )  # fmt: skip
        send_report(home.loaded, report, period, now=due + timedelta(hours=1), due=due)
    with state.opened(home.loaded.home) as connection:
        texts = [json.loads(row["payload"])["text"] for row in connection.execute("select payload from outbox")]
        assert not connection.execute("select 1 from progress where name like 'report_delay:%'").fetchall()
    assert "; it waited for the last events of its period." in texts[0]
    assert "; nothing made it at that time." in texts[1]
