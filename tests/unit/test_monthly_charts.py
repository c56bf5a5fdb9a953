"""What the charts of the monthly report are drawn from: cells, gaps and panels, before they are pixels."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from matokit_pipelines.reports.monthly import charts
from matokit_pipelines.reports.monthly.numbers import monthly_numbers
from matokit_pipelines.reports.monthly.shapes import MonthlyNumbers
from matokit_pipelines.reports.theme import GREY, INK, MAIL, NARROW, WIDE, Size, spec
from tests.monthly_marts import HOSTILE, LAST, MONTH, NOW, Try, snapshot_of, tries

OLD = LAST - timedelta(days=40)


def numbers_of(events: list[Try], **rest: Any) -> MonthlyNumbers:
    with snapshot_of(events, **rest) as snapshot:
        return monthly_numbers(snapshot, MONTH, NOW)


def values(chart: charts.Chart | None, size: Size = WIDE) -> list[dict[str, Any]]:
    """All rows of data in a chart; nothing of it may be fetched."""
    assert chart is not None
    found: list[dict[str, Any]] = []

    def look(part: Any) -> None:
        if isinstance(part, dict):
            assert "url" not in part
            data = part.get("data")
            if isinstance(data, dict):
                found.extend(data["values"])
            for one in part.values():
                look(one)
        elif isinstance(part, list):
            for one in part:
                look(one)

    look(spec(chart(size), size.text))
    return found


def cells(events: list[Try]) -> dict[tuple[int, str], dict[str, Any]]:
    rows = values(charts.heat_map(numbers_of(events).segments))
    return {(row["place"], row["architecture"]): row for row in rows if "architecture" in row}


def test_a_cell_says_its_rate_and_count_and_is_dark_where_success_is_low() -> None:
    found = cells(tries(200, 2) + tries(50, 40, os_release="macOS 14.2", name="x"))
    good, bad = found[0, "arm64"], found[1, "arm64"]
    assert (good["shown"], good["events"], good["ink"]) == ("99.0\u00a0%", "200 events", INK)
    assert (bad["shown"], bad["ink"]) == ("20.0\u00a0%", "white")


def test_a_cell_of_few_events_is_pale_and_one_without_events_is_blank() -> None:
    found = cells(tries(40) + tries(9, 9, os_release="macOS 14.2", architecture="x86_64", name="x"))
    assert found[1, "x86_64"]["small"]
    assert found[1, "x86_64"]["ink"] == GREY
    assert set(found) == {(0, "arm64"), (1, "x86_64")}


def test_few_events_do_not_set_the_scale() -> None:
    chart = charts.heat_map(numbers_of(tries(40) + tries(9, 9, architecture="x86_64", name="x")).segments)
    assert chart is not None
    assert '"domain": [0.8' in re.sub(r"\s+", " ", json.dumps(spec(chart(WIDE), 13)))


def test_a_week_that_is_not_recorded_is_a_gap() -> None:
    events = [one for week in range(12) for one in tries(4, day=LAST - timedelta(days=6 + 7 * week), name=f"w{week}-")]
    numbers = numbers_of(events, known_from=LAST - timedelta(days=30))
    shares = [row["share"] for row in values(charts.adoption_lines(numbers.adoption)) if row["name"] == "Apple silicon"]
    assert len(shares) == 13
    assert shares[:10] == [None] * 10
    assert shares[10:] == [1.0, 1.0, 1.0]


def test_one_week_is_no_line_and_one_month_no_panel() -> None:
    numbers = numbers_of(tries(40), known_from=LAST - timedelta(days=29))
    assert charts.major_panels(numbers.trend) is None
    assert charts.adoption_lines(numbers_of(tries(40), known_from=LAST).adoption) is None
    assert charts.heat_map(numbers_of([]).segments) is None


def test_without_macs_the_lines_are_of_all_systems() -> None:
    events = [
        one
        for week in range(4)
        for one in tries(4, day=LAST - timedelta(days=7 * week + 7), os_family="Linux", os_release="Ubuntu 22.04")
    ]
    names = {row["name"] for row in values(charts.adoption_lines(numbers_of(events).adoption))}
    assert names == {"arm64"}


def test_panels_are_of_the_versions_used_most_and_bounded() -> None:
    events = [
        one
        for n in range(9)
        for day in (LAST, OLD)
        for one in tries(30 - n, 1, day=day, os_release=f"macOS {11 + n}.0", name=f"{n}-")
    ]
    trend = numbers_of(events).trend
    for size, count in ((WIDE, 5), (MAIL, 4), (NARROW, 4)):
        rows = values(charts.major_panels(trend), size)
        names = [row["text"] for row in rows if row.get("is_name")]
        assert list(dict.fromkeys(names)) == [f"macOS {11 + n}" for n in range(count)]


def test_months_that_are_not_recorded_have_neither_points_nor_bars() -> None:
    numbers = numbers_of(tries(40, 2) + tries(30, 1, day=OLD), known_from=LAST - timedelta(days=70))
    rows = [row for row in values(charts.major_panels(numbers.trend)) if "rate" in row][:6]
    assert [row["share"] for row in rows] == [None] * 4 + [1.0, 1.0]
    assert [row["shown"] for row in rows] == [""] * 4 + ["100", "100"]


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_hostile_names_are_drawn_as_text(size: Size) -> None:
    events = tries(30, 3, os_family="unknown", os_release=HOSTILE) + tries(30, 3, day=OLD, os_release=HOSTILE)
    numbers = numbers_of(events)
    chart = charts.heat_map(numbers.segments)
    assert chart is not None
    drawn = charts.drawn(chart, "heat")
    assert "<script" not in drawn.wide + drawn.narrow
    assert "&lt;/script&gt;" in drawn.wide
