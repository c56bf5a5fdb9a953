"""The drawings of the weekly summary: what stands where, and that nothing from outside gets into them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from matokit_pipelines.reports.shapes import rates_of
from matokit_pipelines.reports.weekly.charts import failing_components, success_trend
from matokit_pipelines.reports.weekly.shapes import Day, Deployment, FailingComponent
from tests.weekly_marts import HOSTILE, MONDAY, ZONE, at

FIRST = MONDAY - timedelta(days=7)


def days(*counts: tuple[int, int]) -> tuple[Day, ...]:
    """Fourteen days from (successes, failures); the rest without events."""
    filled = [*counts, *[(0, 0)] * (14 - len(counts))]
    return tuple(
        Day(FIRST + timedelta(days=n), rates_of(good + bad, good, bad), 0, 0, complete=True)
        for n, (good, bad) in enumerate(filled)
    )


def component(name: str, now: int, before: int) -> FailingComponent:
    rates = (rates_of(100, 100 - now, now), rates_of(100, 100 - before, before))
    return FailingComponent(name, *rates, 0.0, 50, 5, "timeout", 3, "could be chance", 0.5)


def placed(svg: str) -> list[tuple[str, float, str]]:
    """Each text of a drawing with its x and which of its ends stands there."""
    found: list[tuple[str, float, str]] = []

    def walk(element, x):
        match = re.match(r"translate\(([-\d.]+)", element.get("transform", ""))
        x += float(match[1]) if match else 0.0
        words = "".join(element.itertext())
        if element.tag.endswith("text") and words:
            found.append((words, x, element.get("text-anchor", "start")))
        for child in element:
            walk(child, x)

    walk(ElementTree.fromstring(svg), 0.0)
    return found


def texts(svg: str) -> dict[str, float]:
    """Each text of a drawing and its x."""
    return {words: x for words, x, _ in placed(svg)}


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_a_deployment_stands_at_its_hour_of_its_day(size):
    """Its line left of noon for a morning, right of it for an evening; noon is where the day's value stands."""
    counts = days(*[(90, 10)] * 14)
    for hour, side in ((9, -1), (18, 1)):
        drawn = success_trend(counts, [Deployment("c0ffee1", at(FIRST + timedelta(days=3), hour))], ZONE)
        words = texts(getattr(drawn, size))
        noon = next(x for text, x in words.items() if text.startswith("Thu") and "5 Nov" in text)
        assert (words["c0ffee1"] + 3 - noon) * side > 0


def test_an_hour_that_comes_twice_is_drawn():
    drawn = success_trend(days((90, 10)), [Deployment("c0ffee1", datetime(2026, 11, 3, 1, 30, tzinfo=UTC))], ZONE)
    assert "c0ffee1" in drawn.wide


def test_names_of_many_deployments_do_not_overlap():
    many = [Deployment(f"{n:07x}", at(FIRST, 3 * n)) for n in range(100)]
    drawn = success_trend(days((90, 10)), many, ZONE)
    for svg in (drawn.wide, drawn.narrow):
        names = [(x, end) for words, x, end in placed(svg) if re.fullmatch(r"[0-9a-f]{7}", words)]
        starts = sorted(x - 48 if end == "end" else x for x, end in names)
        assert len(starts) >= 3
        assert all(later - earlier >= 48 for earlier, later in pairwise(starts))


def test_the_line_at_75_percent_is_always_in_the_picture():
    for counts in (days((100, 0)), days((0, 100)), days()):
        assert "75\u00a0%" in texts(success_trend(counts, [], ZONE).wide)


def test_bars_start_at_zero_and_carry_their_numbers():
    words = texts(failing_components([component("a", 93, 3), component("b", 12, 14)]).wide)
    assert {"93", "3", "12", "14", "this week", "week before"} <= set(words)
    assert words["93"] > words["14"] > words["12"] > words["3"]


def test_names_in_drawings_are_text():
    drawn = failing_components([component(HOSTILE, 5, 1)])
    for svg in (drawn.wide, drawn.narrow):
        assert HOSTILE not in svg
        assert HOSTILE in texts(svg)


def test_a_name_too_long_for_a_drawing_ends_in_dots():
    words = texts(failing_components([component("a" * 200, 5, 1)]).narrow)
    assert any(text.startswith("aaa") and text.endswith("…") for text in words)


def test_drawings_have_letters_on_any_machine():
    """The list of fonts ends with the one that the drawing program brings along."""
    fonts = set(re.findall(r'font-family="([^"]+)"', success_trend(days((90, 10)), [], ZONE).wide))
    assert fonts
    assert all(font.endswith("sans-serif") for font in fonts)
