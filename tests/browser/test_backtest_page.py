"""The page of a back-test in a real browser, from disk and without a network, on a phone and on a wide screen."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page

from matokit_pipelines.alert_settings import AllRules
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.backtest import Backtest, Compared
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.cli.alerts_backtest_page import page, write_page
from matokit_pipelines.windows import Window
from tests.browser.test_weekly_page import CONTRAST, CUT, OUTSIDE

pytestmark = pytest.mark.browser

ZONE = ZoneInfo("Europe/Copenhagen")
START, END = datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)  # October, 25-hour day in it
HOSTILE = "</script><img src=x onerror=alert(1)>" + "\u202e" + "a" * 200
LANES = """() => [...document.querySelectorAll('.lanes svg:not(.days)')].map(svg => {
    const box = svg.getBoundingClientRect();
    return { width: box.width, bars: [...svg.querySelectorAll('.raw, .guarded')].map(bar => {
        const b = bar.getBoundingClientRect();
        return { kind: bar.getAttribute('class'), height: b.height,
            drawn: b.width + parseFloat(getComputedStyle(bar).strokeWidth),
            inside: b.left >= box.left - 2 && b.right <= box.right + 2,
            title: bar.querySelector('title').textContent }; }) };
})"""


def episode(rule: str, subject: str, number: int, at: datetime, hours: float | None) -> Episode:
    """One that lasted `hours`, or goes on."""
    inputs = {"n": 25, "failures": 13, "chance": 0.00004}
    verdict = Verdict(rule, subject, "production", at, "ok", True, True, inputs)
    end = None if hours is None else at + timedelta(hours=hours)
    return Episode(rule, subject, "production", number, "warning", at, at, verdict, verdict, verdict, ended_at=end)


def october(seed: int = 3) -> Backtest:
    """A month with hundreds of raw alerts, a few guarded ones, one that goes on, and hostile names."""
    dice = random.Random(seed)
    subjects = ["python_install", HOSTILE, "latex_install"]
    rules = []
    for place, (name, rule) in enumerate(AllRules().named()):
        starts = sorted(START + timedelta(minutes=5 * dice.randrange(8_900)) for _ in range((300, 90, 9, 0)[place % 4]))
        raw = [
            episode(name, dice.choice(subjects), number, at, dice.choice((0.1, 1.2, 5, 22)))
            for number, at in enumerate(starts)
        ]
        guarded = [episode(name, subjects[1], 1, END - timedelta(hours=3), None)] if place == 0 else raw[:2]
        rules.append(Compared(name, rule.severity, tuple(raw), tuple(guarded)))
    hole = Window(START + timedelta(days=3), START + timedelta(days=3, hours=9))
    return Backtest(Window(START, END), 8_928, 150_123, tuple(rules), ("guard.alpha=0.01",), (hole,))


def calm() -> Backtest:
    """A day on which nothing happened."""
    rules = tuple(Compared(name, rule.severity, (), ()) for name, rule in AllRules().named())
    return Backtest(Window(START, START + timedelta(days=1)), 288, 0, rules)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("backtests")
    made = {}
    for name, found in {"october": october(), "calm": calm()}.items():
        made[name] = folder / f"{name}.html"
        write_page(made[name], page(found, ZONE, ("production",), datetime(2026, 11, 22, 10, tzinfo=UTC)))
    return made


@pytest.fixture
def shown(browser: Browser, pages: dict[str, Path]) -> Iterator[object]:
    contexts = []

    def show(name: str, width: int, scheme: str = "light", script: bool = True) -> tuple[Page, list[str]]:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        opened = context.new_page()
        troubles: list[str] = []
        opened.on("console", lambda message: troubles.append(message.text))
        opened.on("pageerror", lambda error: troubles.append(str(error)))
        opened.on("request", lambda request: troubles.append(request.url) if request.url[:5] != "file:" else None)
        opened.goto(pages[name].as_uri())
        return opened, [trouble for trouble in troubles if not trouble.startswith("data:")]

    yield show
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [360, 780, 1600])
@pytest.mark.parametrize("name", ["october", "calm"])
def test_the_page_fits_its_screen_and_asks_for_nothing(shown, name: str, width: int) -> None:
    opened, troubles = shown(name, width)
    opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert troubles == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate(CUT) == []
    assert opened.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("width", [360, 1600])
def test_every_rule_has_its_lane_with_bars_that_can_be_seen(shown, width: int) -> None:
    opened, _ = shown("october", width)
    lanes = opened.evaluate(LANES)
    assert len(lanes) == len(list(AllRules().named()))
    assert {bar["kind"] for lane in lanes for bar in lane["bars"]} == {"raw", "guarded"}
    for lane in lanes:
        assert lane["width"] > 250
        for bar in lane["bars"]:
            assert bar["inside"]
            assert bar["drawn"] >= 1
            assert bar["height"] >= 8
            assert bar["title"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(shown, scheme: str) -> None:
    opened, _ = shown("october", 1000, scheme)
    opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.evaluate(CONTRAST) == []


def test_it_is_read_without_scripts_and_hostile_names_are_text(shown) -> None:
    opened, _ = shown("october", 1000, script=False)
    assert opened.locator("script").count() == 0
    assert opened.locator("img").count() == 0
    text = opened.locator("main").inner_text()
    assert "</script><img src=x" in text
    assert "\u202e" not in text
    assert "guard.alpha=0.01" in text
    assert "Incomplete: data of Sun" in text.replace("\u00a0", " ")
    assert "goes on" in text


def test_a_calm_period_says_so(shown) -> None:
    opened, _ = shown("calm", 1000)
    assert opened.inner_text("h1") == "No threshold was crossed, so there was nothing for the guard to hold back."
    assert "None in this period." in opened.inner_text("main")
