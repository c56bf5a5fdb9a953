"""The weekly page in a real browser, opened from disk without a network, on a phone and on a wide screen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.warehouse.snapshots import open_current
from tests.weekly_marts import HOSTILE, MONDAY, NOW, Event, Source, at, publish_events, seeded_weeks

pytestmark = pytest.mark.browser

# Elements that hold text themselves and show less of it than there is.
CUT = """() => [...document.querySelectorAll('main *')].filter(e =>
    !e.closest('svg') && e.getClientRects().length && !e.matches('.scroll, .unseen')
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
    && getComputedStyle(e).display !== 'inline' && e.scrollWidth > e.clientWidth
).map(e => e.outerHTML.slice(0, 120))"""
# Text that stands outside of the screen and cannot be scrolled to.
OUTSIDE = """() => [...document.querySelectorAll('main *')].filter(e =>
    !e.closest('svg') && !e.closest('.scroll') && e.getClientRects().length
    && (e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)
).map(e => e.outerHTML.slice(0, 120))"""
CHARTS = """() => [...document.querySelectorAll('.chart svg')].map(svg => ({
    shown: svg.getClientRects().length > 0,
    width: svg.getBoundingClientRect().width, height: svg.getBoundingClientRect().height,
    drawn: [...svg.querySelectorAll('path')].filter(p => p.getBoundingClientRect().width > 3).length,
    texts: [...svg.querySelectorAll('text')].map(t => ({
        text: t.textContent, size: parseFloat(getComputedStyle(t).fontSize) * svg.getBoundingClientRect().width
            / svg.viewBox.baseVal.width,
        inside: t.getBoundingClientRect().right <= svg.getBoundingClientRect().right + 1
            && t.getBoundingClientRect().left >= svg.getBoundingClientRect().left - 1 })),
}))"""
CONTRAST = """() => {
    const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const parse = c => c.match(/[\\d.]+/g).map(Number);
    const light = c => { const [r, g, b] = parse(c).map(channel); return .2126 * r + .7152 * g + .0722 * b; };
    const ground = e => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor; if ((parse(c)[3] ?? 1) > 0) return c; }
        return 'rgb(255,255,255)'; };
    return [...document.querySelectorAll('main *')].filter(e => !e.closest('svg') && e.getClientRects().length
        && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
        return [(a + .05) / (b + .05), e.outerHTML.slice(0, 120)]; }).filter(([ratio]) => ratio < 4.5);
}"""


HOLES = {
    "watermark": at(MONDAY, 20),
    "last_error": HOSTILE * 20,
    "truncated": [(MONDAY, 1234), (MONDAY - timedelta(days=1), 1)],
    "differing_days": (MONDAY - timedelta(days=2),),
}


def hostile() -> list[Event]:
    """Names as long and as odd as a sender can make them, all of them failing, and a hole in the data."""
    names = [HOSTILE, "a" * 150, "Visual Studio Code installation with a very long readable name " * 2]
    before = [Event(at(MONDAY, 8 - 24 * 3), "safe", machine_key=f"m{n}") for n in range(12)]
    return before + [
        Event(at(MONDAY, 8 + n / 10), name, "failure", f"m{n}", error_type=name, os_release=name, architecture=name)
        for name in names
        for n in range(12)
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages by name: a week with a regression, a calm one, an empty one, a hostile one."""
    weeks = {
        "broken": (seeded_weeks(runs_a_day=25, broken="vscode_extensions_install"), Source()),
        "calm": (seeded_weeks(runs_a_day=4, days=30), Source()),
        "empty": ([], Source(watermark=None)),
        "hostile": (hostile(), Source(**HOLES)),
    }
    found = {}
    for name, (events, source) in weeks.items():
        home = tmp_path_factory.mktemp(name)
        publish_events(home, events, [source])
        with open_current(home) as snapshot:
            found[name] = write_weekly(snapshot, MONDAY, NOW, home).html
    return found


@pytest.fixture
def opened(browser, pages):
    """Open a page at a width, offline; what it said on the console and what it asked for is in `troubles`."""
    contexts = []

    def open_page(name, width, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.troubles = []
        page.on("console", lambda message: page.troubles.append(message.text))
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("request", lambda request: page.troubles.append(request.url) if request.url[:5] != "file:" else None)
        page.goto(pages[name].as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [360, 780, 1600])
@pytest.mark.parametrize("name", ["broken", "calm", "empty", "hostile"])
def test_a_page_fits_its_screen_and_says_nothing_to_the_console(opened, name, width):
    page = opened(name, width)
    assert [trouble for trouble in page.troubles if not trouble.startswith("data:")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []
    assert page.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize(("name", "charts"), [("broken", 3), ("calm", 3), ("empty", 1), ("hostile", 3)])
def test_charts_are_drawn_once_and_can_be_read(opened, name, charts, width):
    page = opened(name, width)
    shown = [chart for chart in page.evaluate(CHARTS) if chart["shown"]]
    assert len(shown) == charts
    for chart in shown:
        assert chart["width"] > 0.8 * min(width, 900) - 40
        assert chart["height"] > 100
        assert chart["drawn"] >= 1
        assert len(chart["texts"]) >= 5
        assert all(text["size"] >= 10.5 for text in chart["texts"] if text["text"])
        assert all(text["inside"] for text in chart["texts"] if text["text"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["broken", "hostile"])
def test_text_stands_out_from_its_ground(opened, name, scheme):
    page = opened(name, 1000, color_scheme=scheme)
    assert page.evaluate(CONTRAST) == []
    white = page.evaluate("getComputedStyle(document.querySelector('.chart')).backgroundColor")
    assert white == "rgb(255, 255, 255)"


def test_a_page_prints_whole(opened, tmp_path):
    page = opened("broken", 690, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    printed = page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_hostile_names_are_text(opened):
    page = opened("hostile", 1600)
    assert page.evaluate("document.scripts.length") == 0
    assert HOSTILE in page.inner_text("main")


def test_the_first_line_of_an_incomplete_page_says_so(opened):
    said = opened("hostile", 360).inner_text(".notice").replace("\u202f", " ").replace("\u00a0", " ")
    assert said == (
        "Incomplete: data to Mon 9 Nov 2026 20:00. 1 234 events of installers were cut off at the source in this "
        "period. 1 event of installers was cut off at the source in the period before, with which this one is "
        "compared. 1 day of installers differs from the source's own report in the period before, with which this "
        "one is compared."
    )


@pytest.mark.parametrize("width", [360, 1600])
def test_each_figure_of_a_commit_stands_under_its_span(opened, width):
    """Above the column on a wide screen, beside the value on a narrow one."""
    page = opened("broken", width)
    table = page.locator("#commits table")
    if width == 360:
        labels = (
            table.locator("tbody tr")
            .first.locator("td[data-label]")
            .evaluate_all("cells => cells.map(c => getComputedStyle(c, '::before').content.slice(1, -1))")
        )
        assert labels == [
            "Events, this week", "Success, this week", "Success, first 24 hours", "Commit before it",
            "Verdict on first tries",
        ]  # fmt: skip
        return
    spans = table.locator("th.span").evaluate_all(
        "heads => heads.map(h => [h.innerText, h.getBoundingClientRect().left, h.getBoundingClientRect().right])"
    )
    cells = (
        table.locator("tbody tr")
        .first.locator("td")
        .evaluate_all("cells => cells.map(c => [c.getBoundingClientRect().left, c.getBoundingClientRect().right])")
    )
    assert [said for said, *_ in spans] == ["This week", "First 24 hours in production"]
    assert [spans[0][1:], spans[1][1:]] == [[cells[1][0], cells[2][1]], [cells[3][0], cells[5][1]]]
