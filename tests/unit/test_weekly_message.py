"""The weekly summary as a message: the finding in its subject, three numbers, charts, small enough in any week."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from matokit_pipelines.alerts.period import AlertsOfPeriod, PeriodAlert
from matokit_pipelines.delivery.mails import inlined
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.delivery.slack_payload import fits, payload
from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.warehouse.snapshots import open_current
from tests.alert_scenes import links
from tests.weekly_marts import HOSTILE, MONDAY, NOW, Event, Source, at, publish_events, seeded_weeks

pytestmark = pytest.mark.slow

GMAIL_CUTS_AT = 102 * 1024
WIDTH = 592
Written = Callable[..., tuple[Message, dict[str, Any]]]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """The message of a week as it lies beside the page, and the page's document."""

    def write(
        events: Any, monday: date = MONDAY, source: Source | None = None, alerts: AlertsOfPeriod | None = None
    ) -> tuple[Message, dict[str, Any]]:  # fmt: skip
        publish_events(tmp_path, events, [source or Source()])
        with open_current(tmp_path) as snapshot:
            files = write_weekly(snapshot, monday, NOW, tmp_path / "reports", None, alerts)
        document = json.loads(files.json.read_text(encoding="utf-8"))
        return Message.from_json(files.message.read_text(encoding="utf-8")), document

    return write


@pytest.fixture(scope="module")
def broken_week(tmp_path_factory: pytest.TempPathFactory) -> tuple[Message, dict[str, Any]]:
    """The message and the document of a week in which a component broke."""
    home = tmp_path_factory.mktemp("broken")
    publish_events(home, seeded_weeks(runs_a_day=25, broken="vscode_extensions_install"))
    with open_current(home) as snapshot:
        files = write_weekly(snapshot, MONDAY, NOW, home / "reports", links())
    document = json.loads(files.json.read_text(encoding="utf-8"))
    return Message.from_json(files.message.read_text(encoding="utf-8")), document


def shown(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")


def test_a_week_becomes_a_mail_with_its_finding_charts_and_tables(broken_week: tuple[Message, dict[str, Any]]) -> None:
    message, document = broken_week
    html = shown(message.html or "")
    assert shown(message.subject) == shown(document["findings"]["subject"])
    assert "vscode_extensions_install failing" in message.subject
    for words in (document["findings"]["headline"], *document["findings"]["details"]):
        assert shown(words) in html
    assert [image.name for image in message.images] == ["trend.png", "failing.png", "adoption.png"]
    assert "https://matokit.example.org/reports/weekly/2026-W46.html" in html
    for title in ("trend_title", "failing_title", "commits_title", "adoption_title", "new_os_title"):
        assert shown(document["findings"][title]) in html
    assert message.text.count("\n") > 80
    assert len(inlined(message.html or "")) < GMAIL_CUTS_AT / 3


def test_charts_are_drawn_for_the_width_of_a_mail_on_white_with_text(
    broken_week: tuple[Message, dict[str, Any]],
) -> None:
    message, _ = broken_week
    for image in message.images:
        with Picture.open(BytesIO(image.png)) as picture:
            assert 1.4 * WIDTH < picture.width < 1.6 * WIDTH
            pixels = picture.convert("RGB")
            assert pixels.getpixel((0, 0)) == (255, 255, 255)
            dark = sum(count for count, colour in pixels.getcolors(1 << 20) or () if max(colour) < 150)
            assert dark > 300, image.name
        assert len(image.alt) > 40


def test_slack_gets_the_headline_three_numbers_and_a_link(broken_week: tuple[Message, dict[str, Any]]) -> None:
    message, document = broken_week
    assert message.blocks is not None
    assert fits(message.blocks)
    said = str(payload(message, is_plain=False))
    [fields] = [block["fields"] for block in message.blocks if "fields" in block]
    assert [field["text"].splitlines()[0] for field in fields] == [
        "Installations (estimate)", "Success rate", "Machines (estimate)",
    ]  # fmt: skip
    assert str(document["totals"]["this_week"]["installations"]) in shown(fields[0]["text"])
    assert "reports/weekly/2026-W46.html|" in said
    assert document["failing"]["rows"][1]["component"] not in said


def test_alerts_of_the_week_stand_in_the_mail(written: Written) -> None:
    one = PeriodAlert(
        "slow_regression", "component became worse", HOSTILE, "production", "warning", at(MONDAY), None, True, "firing",
        9, 18, False,
    )  # fmt: skip
    alerts = AlertsOfPeriod("all", at(MONDAY), NOW, 15, 0, 0, 15, 0, 0, (one,) * 10, 5)
    message, _ = written([Event(at(MONDAY, n), machine_key=f"m{n}") for n in range(20)], alerts=alerts)
    html = shown(message.html or "")
    assert "and 12 more on the page." in html
    assert "at the worst 9 of 18 first tries failed" in html
    assert "<!channel>" not in html


HOURS = {"25 hours": date(2026, 10, 19), "23 hours": date(2026, 3, 23)}
ODD: dict[str, tuple[Any, date]] = {
    "empty": ([], MONDAY),
    "one event": ([Event(at(MONDAY))], MONDAY),
    "only failures": ([Event(at(MONDAY, n / 2), outcome="failure", machine_key=f"m{n}") for n in range(40)], MONDAY),
    "long names": (
        [
            Event(at(MONDAY, n / 4), name, "failure", f"m{n}", error_type=name, os_release=name, architecture=name,
                  commit_sha=f"{n:07x}")
            for n, name in enumerate([HOSTILE, "a" * 4_000, "\u202e" * 300, "&" * 900] * 20)
        ],
        MONDAY,
    ),
    **{
        name: ([Event(at(monday + timedelta(days=6), 0) + timedelta(hours=n), machine_key=f"m{n}") for n in range(30)],
               monday)
        for name, monday in HOURS.items()
    },
}  # fmt: skip


@pytest.mark.parametrize(("events", "monday"), ODD.values(), ids=ODD.keys())
def test_odd_weeks_have_a_message_that_every_reader_takes(written: Written, events: Any, monday: date) -> None:
    message, document = written(events, monday, Source(last_error=HOSTILE))
    assert len(inlined(message.html or "").encode()) < GMAIL_CUTS_AT
    assert message.blocks is not None
    assert fits(message.blocks)
    assert "\n" not in message.subject
    assert "None" not in message.subject + str(message.blocks)
    assert "nan" not in str(message.blocks)
    assert document["findings"]["headline"] in message.text
    assert "<!channel>" not in (message.html or "") + str(payload(message, is_plain=False))
    assert "\u202e" not in (message.html or "")


@pytest.mark.parametrize(("monday", "hours"), [(HOURS["25 hours"], 25), (HOURS["23 hours"], 23)])
def test_totals_of_weeks_with_a_clock_change_are_those_of_their_days(
    written: Written, monday: date, hours: int
) -> None:
    sunday = monday + timedelta(days=6)
    events = [Event(at(sunday, 0) + timedelta(hours=n), machine_key=f"m{n}") for n in range(30)]
    _, document = written(events, monday)
    assert document["days"][-1]["rates"]["events"] == document["totals"]["this_week"]["rates"]["events"] == hours


def test_incomplete_data_are_said_in_subject_and_mail(written: Written) -> None:
    source = Source(watermark=datetime(2026, 11, 12, 13, 15, tzinfo=UTC))
    message, _ = written([Event(at(MONDAY, n), machine_key=f"m{n}") for n in range(20)], source=source)
    assert message.subject.endswith("(incomplete data)")
    assert "data to Thu 12 Nov 2026 14:15." in shown(message.html or "")
