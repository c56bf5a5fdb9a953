"""Mails of alerts in a real browser, as they are sent: on a phone, at 640 px, light and dark, without any request.

With MATOKIT_MAILS=FOLDER they are written there, with a picture of each, to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from matokit_pipelines.alerts.content.composing import compose
from tests.alert_scenes import evidence_of_night, links, night, shown
from tests.unit.test_alert_messages_hostile import messages as hostile_messages

pytestmark = pytest.mark.browser

NAMES = [name for name, _ in night()]
# Elements whose text is wider than they are.
CUT = """() => [...document.querySelectorAll('main *')].filter(e => e.getClientRects().length
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
    && getComputedStyle(e).display !== 'inline' && e.scrollWidth > e.clientWidth + 1
).map(e => e.outerHTML.slice(0, 120))"""
OUTSIDE = """() => [...document.querySelectorAll('main *')].filter(e => e.getClientRects().length
    && (e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)
).map(e => e.outerHTML.slice(0, 120))"""
SMALL = """() => [...document.querySelectorAll('main *')].filter(e => e.getClientRects().length
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && parseFloat(getComputedStyle(e).fontSize) < 13
).map(e => e.outerHTML.slice(0, 120))"""
CONTRAST = """() => {
    const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const parse = c => c.match(/[\\d.]+/g).map(Number);
    const light = c => { const [r, g, b] = parse(c).map(channel); return .2126 * r + .7152 * g + .0722 * b; };
    const ground = e => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor; if ((parse(c)[3] ?? 1) > 0) return c; }
        return 'rgb(255,255,255)'; };
    return [...document.querySelectorAll('main *')].filter(e => e.getClientRects().length
        && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
        return [(a + .05) / (b + .05), e.outerHTML.slice(0, 120)]; }).filter(([ratio]) => ratio < 4.5);
}"""
PICTURES = """() => [...document.images].map(i => ({ drawn: i.complete && i.naturalWidth > 900, words: i.alt.length,
    width: i.getBoundingClientRect().width }))"""


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each mail as it is sent, its pictures inside, as a file."""
    folder = Path(os.environ.get("MATOKIT_MAILS") or tmp_path_factory.mktemp("mails"))
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, told in night():
        found[name] = folder / f"{name}.html"
        message = compose(told, evidence_of_night()[name], links())
        found[name].write_text(shown(message), encoding="utf-8")
        found[name].with_suffix(".txt").write_text(message.text, encoding="utf-8")
    return found


def check(browser: Browser, file: Path, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=scheme)
    asked: list[str] = []
    try:
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for wrong in (CUT, OUTSIDE, SMALL, CONTRAST):
            assert page.evaluate(wrong) == []
        for picture in page.evaluate(PICTURES):
            assert picture["drawn"]
            assert picture["words"] > 40
            assert picture["width"] <= min(width, 592)
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.scripts.length") == 0
        if os.environ.get("MATOKIT_MAILS"):
            page.screenshot(path=file.with_name(f"{file.stem}-{width}-{scheme}.png"), full_page=True)
    finally:
        context.close()


@pytest.mark.parametrize(("width", "scheme"), [(640, "light"), (640, "dark"), (360, "light")])
def test_mails_are_read_at_any_width_and_in_the_dark(
    browser: Browser, mails: dict[str, Path], width: int, scheme: str
) -> None:
    for name in NAMES:
        check(browser, mails[name], width, scheme)


def test_what_fails_and_what_to_look_at_stand_on_the_first_screen_of_a_phone(
    browser: Browser, mails: dict[str, Path]
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 700})
    try:
        page = context.new_page()
        for name in ("firing-overall_success_rate", "firing-new_failure_pattern", "firing-high_volume_failures"):
            page.goto(mails[name].as_uri())
            for part in ("h1", ".look", "dl", ".links a"):
                box = page.locator(part).first.bounding_box()
                assert box is not None
                assert box["y"] + box["height"] <= 700, (name, part)
    finally:
        context.close()


@pytest.mark.parametrize(
    "name", ["</script><script>document.title='x'</script>", "W" * 10_000, "\u202eabc", "<img src=x>"]
)
def test_hostile_names_stay_text_and_break_no_page(browser: Browser, tmp_path: Path, name: str) -> None:
    for place, message in enumerate(hostile_messages(name, ("firing", "digest"), ("new_failure_pattern", "arch_gap"))):
        file = tmp_path / f"{place}.html"
        file.write_text(shown(message), encoding="utf-8")
        check(browser, file, 360, "light")
