"""Pictures of every report, dashboard and the weekly mail for docs/reports.md: `make pictures`.

Simulated machines, a fixed seed and a fixed clock, so they change only with the pages. Not here: what must hold of the
pages (tests/browser).
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.reports.daily.pages import write_daily
from tests.alert_scenes import shown
from tests.browser.conftest import ARGUMENTS, program
from tests.page_homes import DASHBOARDS, evaluated, home_of, usual, with_pages

NOW = datetime(2026, 11, 16, 6, 40, tzinfo=UTC)  # Monday 07:40 in Copenhagen, when the weekly summary is new
A_BAD_MORNING = date(2026, 11, 11)  # a component broke the day before
LARGEST = 300_000  # bytes of one picture
# Name: width and greatest height in CSS pixels; a longer page is cut below the last part that fits.
REPORTS = {"weekly": (1000, 2000), "daily": (1000, 1700), "monthly": (1000, 2200), "index": (1000, 2100)}
OF_A_DASHBOARD = (1280, 2100)
OF_A_MAIL = (640, 2000)
FITTING = """limit => Math.max(...[...document.querySelectorAll('section, .tiles, .card, footer, img, h1')]
    .map(e => e.getBoundingClientRect().bottom + scrollY).filter(bottom => bottom <= limit - 8))"""


def main(folder: Path) -> None:
    """Write all pictures into `folder`."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        pages = dict(_pages(Path(scratch)))
        browser = playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        for name, size in _sizes().items():
            png = _pressed(_photographed(browser, pages[name], size))
            assert len(png) <= LARGEST, f"{name}.png has {len(png):,} bytes"
            (folder / f"{name}.png").write_bytes(png)
            print(f"{name}.png {len(png) // 1000} kB")
        browser.close()


def _sizes() -> Mapping[str, tuple[int, int]]:
    return {**REPORTS, **dict.fromkeys(DASHBOARDS, OF_A_DASHBOARD), "weekly-mail": OF_A_MAIL}


def _pages(scratch: Path) -> Iterator[tuple[str, Path]]:
    home = home_of(scratch, usual(days=100, events_per_day=400, now=NOW), now=NOW)
    evaluated(home, days=21)
    site = with_pages(home)
    yield from site.pages.items()
    files, _ = write_daily(home, A_BAD_MORNING, NOW, scratch / "reports", Links.of(home.loaded))
    yield "daily", files.html
    message = Message.from_json(site.pages["weekly"].with_suffix(".message.json").read_text(encoding="utf-8"))
    mail = scratch / "mail.html"
    mail.write_text(shown(message), encoding="utf-8")
    yield "weekly-mail", mail


def _photographed(browser: Browser, page: Path, size: tuple[int, int]) -> bytes:
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, device_scale_factor=1)
    opened = context.new_page()
    opened.goto(page.as_uri())
    opened.wait_for_load_state("networkidle")
    opened.wait_for_timeout(1500)  # charts of dashboards are drawn after loading
    fitting = int(opened.evaluate(FITTING, height)) + 8
    png = opened.screenshot(clip={"x": 0, "y": 0, "width": width, "height": fitting}, full_page=True)
    context.close()
    return png


def _pressed(png: bytes) -> bytes:
    """The picture with so few colours that it is small; nobody sees the difference on a page of text and lines."""
    pressed = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(192, dither=Image.Dither.NONE).save(
        pressed, "png", optimize=True
    )
    return pressed.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
