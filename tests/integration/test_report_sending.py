"""Reports in the outbox: once for each period and reader, late ones marked, sent by the real mail server and files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines import state
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.delivery.messages import Image, Message
from matokit_pipelines.errors import NothingPublished
from matokit_pipelines.reports.rendering import write_report
from matokit_pipelines.reports.sending import is_to_be_sent, late, note_delay, send_report, was_queued, with_notice
from matokit_pipelines.settings import Loaded, load

DUE = datetime(2026, 11, 16, 6, 30, tzinfo=UTC)
SETTINGS = """
[project]
timezone = "Europe/Copenhagen"
[recipients]
development = ["email:dev@example.org", "slack:#installers"]
[reports]
weekly_to = ["development", "files"]
monthly_to = []
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "matokit.toml").write_text(SETTINGS, encoding="utf-8")
    return load(environ={}, cwd=tmp_path)


def make(loaded: Loaded, report: str = "weekly", period: str = "2026-W46", *, worth: bool | None = None) -> Message:
    message = Message("Week 46: success 83 %", "All is said.", "<html><body class='x'><p>All</p></body></html>",
                      [{"type": "divider"}], [Image("trend", "a line", b"png")])  # fmt: skip
    document = {"report": report} | ({} if worth is None else {"worth_sending": worth})
    write_report(loaded.home / "reports", report, period, html="<p>", text="All", document=document, message=message)
    return message


def rows(loaded: Loaded) -> list[outbox.Row]:
    with state.opened(loaded.home) as connection:
        return sorted(outbox.listed(connection, ()), key=lambda row: row.id)


def test_each_reader_is_sent_a_report_once_however_often_it_is_made(loaded: Loaded) -> None:
    make(loaded)
    first = send_report(loaded, "weekly", "2026-W46", now=DUE)
    assert first.queued == ("email:dev@example.org", "slack:#installers", "files")
    make(loaded)
    again = send_report(loaded, "weekly", "2026-W46", now=DUE + timedelta(days=200))
    assert (again.queued, again.already) == ((), first.queued)
    assert [row.message_key for row in rows(loaded)] == [f"report:weekly:2026-W46:{name}" for name in first.queued]


def test_a_reader_who_came_later_is_sent_it_and_nobody_else(loaded: Loaded, tmp_path: Path) -> None:
    make(loaded)
    send_report(loaded, "weekly", "2026-W46", now=DUE)
    (tmp_path / "matokit.toml").write_text(SETTINGS.replace('"files"]', '"files", "email:new@example.org"]'), "utf-8")
    sent = send_report(load(environ={}, cwd=tmp_path), "weekly", "2026-W46", now=DUE)
    assert sent.queued == ("email:new@example.org",)


def test_what_was_put_away_is_not_sent_again(loaded: Loaded) -> None:
    make(loaded)
    send_report(loaded, "weekly", "2026-W46", now=DUE)
    with state.opened(loaded.home) as connection:
        connection.execute("delete from outbox")
        assert was_queued(connection, "weekly", "2026-W46")
        assert not was_queued(connection, "weekly", "2026-W45")
    assert send_report(loaded, "weekly", "2026-W46", now=DUE).queued == ()


def test_again_is_explicit_and_a_message_of_its_own(loaded: Loaded) -> None:
    make(loaded)
    send_report(loaded, "weekly", "2026-W46", now=DUE)
    for number in (2, 3):
        sent = send_report(loaded, "weekly", "2026-W46", now=DUE, again=True)
        assert len(sent.queued) == 3
        assert rows(loaded)[-1].message_key == f"report:weekly:2026-W46:files:{number}"


def test_an_empty_daily_report_is_sent_to_nobody_unless_the_settings_say_so(loaded: Loaded, tmp_path: Path) -> None:
    make(loaded, "daily", "2026-11-16", worth=False)
    sent = send_report(loaded, "daily", "2026-11-16", now=DUE)
    assert sent.queued == ()
    assert sent.why_not == "The daily report of 2026-11-16 has nothing to tell, so it is not sent."
    (tmp_path / "matokit.toml").write_text(SETTINGS + "send_when_empty = true\n", "utf-8")
    assert send_report(load(environ={}, cwd=tmp_path), "daily", "2026-11-16", now=DUE).queued == ("files",)
    make(loaded, "daily", "2026-11-17", worth=True)
    assert send_report(loaded, "daily", "2026-11-17", now=DUE).queued == ("files",)


def test_a_report_for_nobody_says_which_setting_it_is(loaded: Loaded) -> None:
    make(loaded, "monthly", "2026-10")
    sent = send_report(loaded, "monthly", "2026-10", now=DUE)
    assert sent.why_not == "Nobody is to be sent the monthly report (reports.monthly_to)."
    assert rows(loaded) == []


def test_a_report_that_was_not_made_says_how_it_is(loaded: Loaded) -> None:
    with pytest.raises(NothingPublished, match=r"matokit report weekly --period 2026-W40"):
        send_report(loaded, "weekly", "2026-W40", now=DUE)


@pytest.mark.parametrize(
    ("minutes", "why", "says"),
    [
        (20, None, None),
        (21, "it waited for the last events of its period", "it waited for the last events of its period."),
        (300, None, "nothing made it at that time."),
    ],
)
def test_a_late_report_says_so_and_why(loaded: Loaded, minutes: int, why: str | None, says: str | None) -> None:
    make(loaded)
    now = DUE + timedelta(minutes=minutes)
    if why:
        note_delay(loaded, "weekly", "2026-W46", why)
    send_report(loaded, "weekly", "2026-W46", now=now, due=DUE)
    with state.opened(loaded.home) as connection:
        [text] = {json.loads(row["payload"])["text"] for row in connection.execute("select payload from outbox")}
    if says is None:
        assert text == "All is said."
    else:
        assert text.startswith("Late: due Mon\u00a016\u00a0Nov\u00a02026\u00a007:30, made ")
        assert text.split("\n")[0].endswith(says)


def test_a_daily_report_that_had_nothing_to_tell_at_its_hour_says_so_when_it_has(loaded: Loaded) -> None:
    make(loaded, "daily", "2026-11-16", worth=False)
    assert not is_to_be_sent(loaded, "daily", "2026-11-16")
    send_report(loaded, "daily", "2026-11-16", now=DUE, due=DUE)
    make(loaded, "daily", "2026-11-16", worth=True)
    assert is_to_be_sent(loaded, "daily", "2026-11-16")
    send_report(loaded, "daily", "2026-11-16", now=DUE + timedelta(hours=3), due=DUE)
    assert not is_to_be_sent(loaded, "daily", "2026-11-16")
    with state.opened(loaded.home) as connection:
        [payload] = connection.execute("select payload from outbox").fetchone()
    assert "; at its hour it had nothing to tell." in json.loads(payload)["text"]


def test_a_notice_stands_first_in_every_form(loaded: Loaded) -> None:
    sentence = late(DUE, DUE + timedelta(hours=2), ZoneInfo("UTC"), None) + " <b>"
    noted = with_notice(make(loaded), sentence)
    assert noted.text.startswith(sentence)
    assert noted.html is not None
    assert noted.html.startswith("<html><body class='x'><div ")
    assert "&lt;b&gt;" in noted.html
    assert noted.html.endswith("<p>All</p></body></html>")
    assert noted.blocks is not None
    assert noted.blocks[0]["elements"][0] == {"type": "plain_text", "text": sentence}
    assert noted.images == make(loaded).images
    plain = with_notice(Message("s", "t"), sentence)
    assert (plain.html, plain.blocks) == (None, None)


def test_a_queued_report_reaches_its_file(loaded: Loaded) -> None:
    make(loaded, "daily", "2026-11-16")
    send_report(loaded, "daily", "2026-11-16", now=DUE)
    report = drain(loaded, FixedClock(DUE))
    assert (report.sent, report.dead) == (1, 0)
    texts = [path.read_text("utf-8", "replace") for path in (loaded.home / "messages").rglob("*") if path.is_file()]
    assert any("All is said." in text for text in texts)
