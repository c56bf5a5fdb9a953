"""The arithmetic of the dashboards' pages in a real browser: rows from facts and filters beside the SQL of each widget.

Without a choice of system they are those of the SQL. With one they are those of the SQL over the events of that system
alone, except for what is judged and first seen over all systems.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Page

from matokit_pipelines import resources
from matokit_pipelines.reports.dashboards.csv_files import csv_of
from matokit_pipelines.reports.dashboards.facts import facts, packed, script
from matokit_pipelines.reports.dashboards.widgets import WINDOWS, Widget, load_widgets, numbers
from matokit_pipelines.reports.dashboards.words import COUNTED, SENTENCES
from matokit_pipelines.reports.marking import as_document
from matokit_pipelines.simulator import generate
from tests.comparing import Marts
from tests.dashboard_marts import WATERMARK, built, landed, landed_truth, of_systems

pytestmark = pytest.mark.browser

ZONE = "Europe/Copenhagen"
WIDGETS = load_widgets()
BOARDS = tuple(dict.fromkeys(widget.dashboard for widget in WIDGETS.values()))
LAST = date(2026, 10, 26)
KNOWN_FROM = datetime(2026, 9, 30, 22, tzinfo=UTC)
Rows = list[dict[str, Any]]
Shown = dict[str, Rows]  # by widget, and by widget.part
Show = Callable[..., Shown]

_ALL_ROWS = """async ([packed, widgets, filters]) => {
    const facts = await unpackFacts(packed);
    return filters.map((chosen) => Object.fromEntries(widgets.flatMap((name) => {
        const made = rowsOf(name, facts, chosen);
        return [[name, made.rows], ...Object.entries(made.parts).map(([part, rows]) => [`${name}.${part}`, rows])];
    })));
}"""
_COLUMNS = "([widget, part]) => columnsOf(widget, part)"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    opened.set_content(f"<!doctype html><script>{script()}</script>")
    yield opened
    opened.close()


@pytest.fixture
def show(page: Page) -> Show:
    """The rows of all widgets for each of the filters, counted in the page."""

    def given(marts: Marts, chosen: list[dict[str, Any]], **more: Any) -> list[Shown]:
        found: list[Shown] = [{} for _ in chosen]
        for board in BOARDS:
            names = [widget.name for widget in WIDGETS.values() if widget.dashboard == board]
            known = packed(facts(marts, board, zone=ZONE, **more))
            for at, rows in zip(found, page.evaluate(_ALL_ROWS, [known, names, chosen]), strict=True):
                at.update(rows)
        return found

    return given


def filters(**chosen: Any) -> dict[str, Any]:
    return {"environment": "production", "days": 30, "architecture": "all", "os": "all"} | chosen


def of_sql(marts: Marts, chosen: dict[str, Any]) -> Shown:
    """The rows of all widgets as their SQL counts them, whatever system is chosen."""

    def rows(widget: Widget, part: str) -> Rows:
        frame = numbers(marts, widget, chosen["days"], environment=chosen["environment"], part=part)
        return list(as_document(frame.to_dicts()))

    return {
        f"{name}.{part}".rstrip("."): rows(widget, part)
        for name, widget in WIDGETS.items()
        for part in ("", *widget.parts)
    }


def assert_alike(found: Shown, expected: Shown, about: object) -> None:
    for name, rows in expected.items():
        assert len(found[name]) == len(rows), (about, name)
        for line, (ours, theirs) in enumerate(zip(found[name], rows, strict=True)):
            assert list(ours) == list(theirs), (about, name)
            for column, cell in theirs.items():
                assert same(ours[column], cell), (about, name, line, column, ours, theirs)


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        return is_number and math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-12)
    return type(found) is type(expected) and bool(found == expected)


# -- without a choice of system ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def truth() -> tuple[pl.DataFrame, Marts]:
    """More than 180 days of a small site, as landed and as built."""
    made = generate(days=190, events_per_day=60, seed=3, end=WATERMARK, zone=ZONE)
    rows = landed_truth(made)
    return rows, built(rows, made.start)


def test_without_a_choice_of_system_rows_are_those_of_the_sql(show: Show, truth: tuple[pl.DataFrame, Marts]) -> None:
    _, marts = truth
    chosen = [
        filters(days=days, environment=environment)
        for days in WINDOWS
        for environment in ("production", "ci", "staging")
    ]
    for at, found in zip(chosen, show(marts, chosen), strict=True):
        assert_alike(found, of_sql(marts, at), at)
    assert all(found for found in show(marts, [filters()])[0].values())


def test_columns_are_those_of_the_sql(page: Page) -> None:
    marts = built(None, KNOWN_FROM)
    for name, widget in WIDGETS.items():
        for part in ("", *widget.parts):
            assert page.evaluate(_COLUMNS, [name, part]) == numbers(marts, widget, part=part).columns


@pytest.mark.parametrize("rows", [None, landed([]), landed([{}]), landed([{"value": 0}]), landed([{"value": None}])])
def test_nothing_and_one_event_are_shown_as_the_sql_has_them(show: Show, rows: pl.DataFrame | None) -> None:
    marts = built(rows, KNOWN_FROM)
    chosen = [filters(days=days) for days in WINDOWS]
    for at, found in zip(chosen, show(marts, chosen), strict=True):
        assert_alike(found, of_sql(marts, at), at)


# -- small histories full of ties -------------------------------------------------------------------------------------


ARCHITECTURES = {"arm64": "arm64", "x64": "x86_64", "": "unknown"}
RELEASES = [*(f"macOS {n}.1" for n in range(10, 16)), "Windows 11", "Plan 9", "Zeta \U0001f680", "Zeta \ufb01"]


def history(dice: random.Random) -> pl.DataFrame:
    """Few instants, machines and names, so that counts, first sights and leaders coincide; also names that sort
    otherwise by UTF-16, and days before the longest window."""
    instants = [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)]
    instants += [WATERMARK - timedelta(minutes=dice.randrange(0, 40 * 1440, 180)) for _ in range(dice.randint(5, 40))]
    instants += [WATERMARK - timedelta(days=dice.randint(60, 250)) for _ in range(6)]
    commits = [f"{n:07x}" for n in range(dice.randint(2, 12))]
    steps = [*(f"step_{letter}" for letter in "abcdefghijkl"), "ﬁ_step", "\U0001f680_step", "</script><!channel>=1+1"]

    def event() -> dict[str, Any]:
        step, failed = dice.choice(steps), dice.random() < 0.3
        error = dice.choice(["", "_network_error", "_disk_error", "_permission_error", "_unknown_error"])
        return {
            "event_ts": dice.choice(instants),
            "visitor_id": dice.choice(["1", "2", "3", ""]),
            "category": dice.choice(["Installer", "Installer", "Installer_CI", "Installer_DEV"]),
            "os_raw": dice.choice(RELEASES),
            "architecture_raw": dice.choice(list(ARCHITECTURES)),
            "name": step + error if failed else dice.choice([step, step, step, "orchestrator_start"]),
            "value": 0.0 if failed else dice.choice([2.0, 3.0, 5.0, None]),
            "commit_raw": dice.choice([*commits, "unknown"]),
        }

    return landed(sorted((event() for _ in range(dice.choice([40, 300]))), key=lambda one: one["event_ts"]))


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_ties_are_ordered_as_in_the_sql(show: Show, seed: int) -> None:
    marts = built(history(random.Random(seed)), KNOWN_FROM)
    chosen = [filters(days=days, environment=name) for days in WINDOWS for name in ("production", "ci")]
    for at, found in zip(chosen, show(marts, chosen), strict=True):
        assert_alike(found, of_sql(marts, at), (seed, at))


# -- with a choice of system ------------------------------------------------------------------------------------------


def of_part(part: Marts, whole: Marts, chosen: dict[str, Any]) -> Shown:
    """The rows of the SQL over the chosen events alone, with what is known over all systems put in."""
    rows = of_sql(part, chosen)
    seen = {
        (row["os_family"], row["os_release"]): row
        for row in as_document(
            whole.query(
                "select * from marts.os_first_seen where environment = $environment",
                {"environment": chosen["environment"]},
            ).to_dicts()
        )
    }
    for row in rows["os_versions"]:
        first = seen[row["os_family"], row["os_release"]]
        row |= {"first_seen": first["first_seen"], "first_date": first["first_date"]}
        if row["is_new"] is not None:
            row["is_new"] = (LAST - timedelta(days=6)).isoformat() <= first["first_date"] <= LAST.isoformat()
    lives = {
        row["commit_sha"]: row
        for row in as_document(
            whole.query(
                "select life.commit_sha, life.first_seen, life.last_seen, judged.verdict "
                "from marts.commit_performance as life left join marts.commit_regression as judged using (commit_sha)"
            ).to_dicts()
        )
    }
    for row in rows["commit_table"]:
        row |= lives[row["commit_sha"]]
        row["is_regression"] = row["verdict"] == "worse"
    rows["commit_table"].sort(key=lambda row: row["commit_sha"])
    rows["commit_table"].sort(key=lambda row: datetime.fromisoformat(row["first_seen"]), reverse=True)
    for row in rows["version_rollback.changes"]:
        new, old = (datetime.fromisoformat(lives[row[name]]["first_seen"]) for name in ("to_commit", "from_commit"))
        row["is_rollback"] = new < old
    for row in rows["ci_comparison"]:
        row |= {"chance_worse": None, "verdict": None, "is_marked": None}
    return rows


def assert_only_silent_lines_more(found: Shown, expected: Shown) -> None:
    """A line of an environment stays when a choice leaves none of its events; those lines are taken away."""
    lines = {row["environment"] for row in expected["daily_volume"]}
    silent = [row for row in found["daily_volume"] if row["environment"] not in lines]
    assert not any(row["events"] for row in silent)
    found["daily_volume"] = [row for row in found["daily_volume"] if row["environment"] in lines]


@pytest.mark.parametrize(
    ("seed", "architecture", "release"),
    [
        (0, "arm64", None),
        (1, None, "macOS 12.1"),
        *(
            pytest.param(seed, architecture, release, marks=pytest.mark.slow)
            for seed, architecture, release in [
                (2, "x86_64", "Windows 11"), (3, "unknown", None), (4, None, "macOS 13.1"), (5, "arm64", "macOS 10.1"),
                (6, "x86_64", None), (7, None, "Windows 11"),
            ]
        ),
    ],
)  # fmt: skip
def test_with_a_choice_of_system_rows_are_those_of_its_events(
    show: Show, tmp_path: Path, seed: int, architecture: str | None, release: str | None
) -> None:
    rows = history(random.Random(100 + seed))
    whole = built(rows, KNOWN_FROM)
    part = built(rows, KNOWN_FROM, of_systems(tmp_path, architecture, release))
    system = {"architecture": architecture or "all", "os": release or "all"}
    chosen = [filters(days=days, environment=name, **system) for days in WINDOWS for name in ("production", "ci")]
    for at, found in zip(chosen, show(whole, chosen), strict=True):
        expected = of_part(part, whole, at)
        assert_only_silent_lines_more(found, expected)
        assert_alike(found, expected, (seed, at))


@pytest.mark.parametrize(
    ("architecture", "release"),
    [
        ("arm64", None),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [(None, "macOS 15.1"), ("x86_64", None)]),
    ],
)
def test_a_system_of_a_simulated_site_is_counted_alone(
    show: Show, truth: tuple[pl.DataFrame, Marts], tmp_path: Path, architecture: str | None, release: str | None
) -> None:
    rows, whole = truth
    known_from = rows["event_ts"].min()
    assert isinstance(known_from, datetime)
    part = built(rows, known_from, of_systems(tmp_path, architecture, release))
    chosen = [filters(days=days, architecture=architecture or "all", os=release or "all") for days in WINDOWS]
    for at, found in zip(chosen, show(whole, chosen), strict=True):
        expected = of_part(part, whole, at)
        assert_only_silent_lines_more(found, expected)
        assert_alike(found, expected, at)


def test_a_system_that_is_not_there_has_no_events(show: Show) -> None:
    marts = built(landed([{}, {"category": "Installer_CI"}]), KNOWN_FROM)
    chosen = [filters(architecture="sparc"), filters(os="macOS 99"), filters(environment="moon")]
    for found in show(marts, chosen):
        assert found["success_rate"][0]["events"] == 0
        assert found["outcomes"][0] == {"outcome": "success", "events": 0, "share": None}
        assert found["component_success"] == []
    assert show(marts, chosen)[0]["commit_table"] == []


# -- more names than a page holds -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd() -> Marts:
    """500 components, 250 commits, 70 releases and 45 kinds of errors, all in ten days."""
    return built(
        landed([
            {
                "event_ts": WATERMARK - timedelta(hours=6 + n % 240),
                "visitor_id": str(n % 90),
                "name": f"step_{n % 500:03d}",
                "value": 0.0 if n % 7 == 0 else 2.0,
                "category": "Installer_CI" if n % 3 == 0 else "Installer",
                "os_raw": f"Odd system {n % 70}",
                "architecture_raw": "x64" if n % 11 == 0 else "arm64",
                "commit_raw": f"{n % 250 + 1:07x}",
                "contract_raw": "1" if n % 7 == 0 else None,
                "error_type_raw": f"kind_{n % 45}",
            }
            for n in range(3_000)
        ]),
        KNOWN_FROM,
    )  # fmt: skip


def counts(rows: Rows, *columns: str) -> list[int]:
    return [sum(row[column] for row in rows) for column in columns]


@pytest.mark.parametrize(
    ("widget", "name", "columns", "named"),
    [
        ("component_success", "component", ("events", "failures"), 200),
        ("commit_table", "commit_sha", ("events", "failures"), 200),
        ("os_versions", "os_release", ("events", "failures"), 60),
    ],
)
def test_others_are_the_last_row_and_hold_the_rest(
    show: Show, crowd: Marts, widget: str, name: str, columns: tuple[str, ...], named: int
) -> None:
    found, expected = show(crowd, [filters()])[0][widget], of_sql(crowd, filters())[widget]
    *rows, others = found
    assert len(rows) == named
    assert others[name] == f"others ({len(expected) - named})"
    assert counts(found, *columns) == counts(expected, *columns)
    shown = {row[name] for row in rows}
    assert_alike({widget: rows}, {widget: [row for row in expected if row[name] in shown]}, widget)


def test_charts_and_sums_do_not_suffer_from_names_without_a_place(show: Show, crowd: Marts) -> None:
    chosen = filters(days=7)
    [found], expected = show(crowd, [chosen]), of_sql(crowd, chosen)
    whole = (
        "success_rate", "daily_volume", "outcomes", "environments", "architecture_performance", "architecture_success",
        "os_version_trends", "component_trends", "version_rollback", "version_rollback.changes", "test_environments",
    )  # fmt: skip
    assert_alike(found, {name: expected[name] for name in whole}, "whole")
    assert found["ci_comparison"][-1]["component"] == "all"
    assert same(found["ci_comparison"][-1]["gap_points"], expected["ci_comparison"][-1]["gap_points"])
    assert counts(found["ci_comparison"][:-1], "ci_events", "production_events") == counts(
        expected["ci_comparison"][:-1], "ci_events", "production_events"
    )
    worst = [(row["component"], row["component_failures"]) for row in expected["problematic_components"]]
    assert dict(worst) == {row["component"]: row["component_failures"] for row in found["problematic_components"]}


def test_how_many_others_there_are_follows_the_choice(show: Show, crowd: Marts) -> None:
    chosen = [filters(architecture="x86_64"), filters(os="Odd system 3"), filters(os="others (10)")]
    for at, found in zip(chosen, show(crowd, chosen), strict=True):
        where = "architecture = 'x86_64'" if at["os"] == "all" else "os_release = $release"
        if at["os"].startswith("others"):
            listed = {row["os_release"] for row in found["os_versions"]}
            assert listed == {"others (10)"}
            continue
        values = {"release": at["os"]} if "$release" in where else {}
        [[names]] = crowd.query(
            "select count(distinct component) from marts.system_window "
            f"where window_days = 30 and environment = 'production' and component <> 'all' and {where}",
            values,
        ).rows()
        rows = found["component_success"]
        others = [row["component"] for row in rows if row["component"].startswith("others (")]
        told = sum(int(name.removeprefix("others (").removesuffix(")")) for name in others)
        assert len(rows) - len(others) + told == names


_TITLES = """async ([packed, widgets, filters]) => {
    const facts = await unpackFacts(packed);
    return filters.map((chosen) => Object.fromEntries(widgets.map((widget) => {
        const { rows, parts } = rowsOf(widget.name, facts, chosen);
        const { sentence, values } = findingOf(widget, rows, parts);
        return [widget.name, say(sentence, values, facts.zone)];
    })));
}"""


@pytest.fixture
def titles(browser: Browser) -> Iterator[Callable[..., list[dict[str, str]]]]:
    """The titles of all widgets for each of the filters, as a page says them."""
    folder = resources.path("report_templates") / "dashboards"
    parts = [script(), *((folder / name).read_text(encoding="utf-8") for name in ("formats.js", "findings.js"))]
    opened = browser.new_page()
    opened.set_content(f"<!doctype html><script>{chr(10).join(parts)}</script>")

    def given(marts: Marts, chosen: list[dict[str, Any]]) -> list[dict[str, str]]:
        found: list[dict[str, str]] = [{} for _ in chosen]
        for board in BOARDS:
            told = [
                {"name": name, "sentences": SENTENCES[name], "counted": COUNTED[name]}
                for name, widget in WIDGETS.items()
                if widget.dashboard == board
            ]
            known = packed(facts(marts, board, zone=ZONE))
            for at, said in zip(found, opened.evaluate(_TITLES, [known, told, chosen]), strict=True):
                at.update({name: text.replace("\u00a0", " ") for name, text in said.items()})
        return found

    yield given
    opened.close()


def test_names_without_a_place_make_no_title(titles: Callable[..., list[dict[str, str]]], crowd: Marts) -> None:
    whole, odd, beyond = titles(crowd, [filters(), filters(os="Odd system 3"), filters(os="others (10)")])
    for name, said in [*whole.items(), *odd.items(), *beyond.items()]:
        assert "others (" not in said, name
        assert "other leads" not in said, name
    among = "among those with a row of their own"
    assert [name for name, said in whole.items() if said.endswith(among)] == [
        "os_versions", "component_success", "component_matrix", "commit_table",
    ]  # fmt: skip
    assert whole["commit_table"].startswith("No commit is worse than those before it")
    assert beyond["os_versions"].endswith("events, all of names without a row of their own")
    assert beyond["os_version_trends"] == beyond["os_versions"]


# -- CSV ------------------------------------------------------------------------------------------------------------


def test_both_ways_to_write_csv_agree(page: Page, truth: tuple[pl.DataFrame, Marts]) -> None:
    _, marts = truth
    for widget in WIDGETS.values():
        for part in ("", *widget.parts):
            frame = numbers(marts, widget, 30, part=part)
            rows = as_document(frame.to_dicts())
            assert page.evaluate("([rows, columns]) => csvOf(rows, columns)", [rows, frame.columns]) == csv_of(frame)


def test_both_ways_to_write_csv_agree_on_what_is_odd(page: Page) -> None:
    texts = [
        "", "a,b", 'say "no"', "two\nlines", "\r", "=1+1", "＋1", "-1", "  ＠x", "\tx", "'quoted'", " =1",
        "ø\u202f€",        "1.50", "</script><!channel>=1+1",
    ]  # fmt: skip
    fractions = [0.0, 1.0, -12.5, 1 / 3, 1e-5, 1.25e-7, 5e-324, 100.0, -1e-9, 0.1, 123456.789, None, 1e20, -0.0, 2.0]
    frame = pl.DataFrame({"text": texts, "share": fractions, "yes": [True, False, None] * 5, "n": list(range(-7, 8))})
    rows = frame.to_dicts()
    made = page.evaluate("([rows, columns]) => csvOf(rows, columns)", [rows, frame.columns])
    assert made == csv_of(frame)
    assert page.evaluate("columns => csvOf([], columns)", frame.columns) == csv_of(frame.clear())
