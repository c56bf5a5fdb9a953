"""The mail of the weekly summary as it arrives by SMTP, in a real browser: 640 px and a phone, light and dark.

With MATOKIT_MAILS=FOLDER it is written there, with a picture of each, to be looked at. Not here: mails of alerts.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from matokit_pipelines.alerts.period import AlertsOfPeriod, PeriodAlert
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.simulator.mail import MailServer
from matokit_pipelines.warehouse.snapshots import open_current
from tests.alert_scenes import links
from tests.browser.test_alert_mails import CONTRAST, CUT, OUTSIDE, PICTURES, SMALL
from tests.delivering import BY_MAIL, Office
from tests.weekly_marts import HOSTILE, MONDAY, NOW, Event, Source, at, publish_events, seeded_weeks

pytestmark = pytest.mark.browser

GMAIL_CUTS_AT = 102 * 1024
WIDTHS = [(640, "light"), (640, "dark"), (360, "light")]


def alerts() -> AlertsOfPeriod:
    one = PeriodAlert(
        "new_failure_pattern", "new failure pattern", "vscode_extensions_install", "production", "critical",
        at(MONDAY, 60), None, True, "firing", 13, 25, False,
    )  # fmt: skip
    return AlertsOfPeriod("all", at(MONDAY), NOW, 1, 0, 0, 1, 0, 2, (one,))


def hostile_week() -> list[Event]:
    names = [HOSTILE, "W" * 300, "\u202e" + "a" * 90, "vscode_extensions_install_with_a_very_long_name_of_its_own"]
    return [
        Event(at(MONDAY, 8 + n / 10), name, "failure", f"m{n}", error_type=name, os_release=name, architecture=name)
        for name in names
        for n in range(12)
    ]


WEEKS: dict[str, tuple[Any, Source, AlertsOfPeriod | None]] = {
    "broken": (seeded_weeks(runs_a_day=25, broken="vscode_extensions_install"), Source(), alerts()),
    "hostile": (hostile_week(), Source(watermark=at(MONDAY, 60), last_error=HOSTILE), None),
    "empty": ([], Source(watermark=None), None),
}


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, EmailMessage]]:
    """The mails of all weeks as a real SMTP server took them."""
    folder = tmp_path_factory.mktemp("weeks")
    office = Office(folder / "office")
    with MailServer(now=office.clock.now) as office.mail:
        for name, (events, source, told) in WEEKS.items():
            home = folder / name
            publish_events(home, events, [source])
            with open_current(home) as snapshot:
                files = write_weekly(snapshot, MONDAY, NOW, home / "reports", links(), told)
            office.put(name, BY_MAIL, about=name, told=Message.from_json(files.message.read_text(encoding="utf-8")))
        assert office.drain().sent == len(WEEKS)
        yield dict(zip(WEEKS, (kept.mail for kept in office.mail.kept), strict=True))


def as_read(mail: EmailMessage) -> str:
    """The HTML of a mail with its pictures in place."""
    text, shown = mail.iter_parts()
    assert text.get_content_type() == "text/plain"
    page, *pictures = shown.iter_parts() if shown.is_multipart() else [shown]
    html = str(page.get_content())
    for picture in pictures:
        name = str(picture["Content-ID"]).strip("<>")
        assert f"cid:{name}" in html
        html = html.replace(f"cid:{name}", "data:image/png;base64," + base64.b64encode(picture.get_content()).decode())
    assert "cid:" not in html
    return html


@pytest.mark.parametrize(("width", "scheme"), WIDTHS)
@pytest.mark.parametrize("name", WEEKS)
def test_a_weekly_mail_is_read_at_any_width_and_in_the_dark(
    browser: Browser, arrived: dict[str, EmailMessage], tmp_path: Path, name: str, width: int, scheme: Any
) -> None:
    folder = Path(os.environ.get("MATOKIT_MAILS") or tmp_path)
    file = folder / f"weekly-{name}.html"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(as_read(arrived[name]), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=scheme)
    asked: list[str] = []
    try:
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for wrong in (CUT, OUTSIDE, SMALL, CONTRAST):
            assert page.evaluate(wrong) == []
        for picture in page.evaluate(PICTURES.replace("> 900", "> 850")):
            assert picture["drawn"]
            assert picture["words"] > 40
            assert picture["width"] <= min(width, 592)
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.scripts.length") == 0
        if os.environ.get("MATOKIT_MAILS"):
            page.screenshot(path=file.with_name(f"{file.stem}-{width}-{scheme}.png"), full_page=True)
    finally:
        context.close()


def test_the_mail_is_small_and_its_text_part_complete_alone(arrived: dict[str, EmailMessage]) -> None:
    for mail in arrived.values():
        text, _ = mail.iter_parts()
        [page] = [part for part in mail.walk() if part.get_content_type() == "text/html"]
        assert len(page.get_payload(decode=True)) < GMAIL_CUTS_AT
        for heading in ("SUCCESS RATE BY DAY", "FAILING COMPONENTS", "ALERTS OF THE WEEK", "DATA QUALITY"):
            assert heading in text.get_content()
    assert "alert firing" in str(arrived["broken"]["Subject"])
    assert str(arrived["hostile"]["Subject"]).endswith("(incomplete data)")
    assert len(str(arrived["hostile"]["Subject"]).splitlines()) == 1


def test_finding_and_numbers_stand_on_the_first_screen(browser: Browser, arrived: dict[str, EmailMessage]) -> None:
    context = browser.new_context(viewport={"width": 640, "height": 700})
    try:
        page = context.new_page()
        page.set_content(as_read(arrived["broken"]))
        for part in ("h1", ".figures"):
            box = page.locator(part).first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 700, part
    finally:
        context.close()
