"""How values read: nothing is rounded into what it is not, nothing from outside breaks a line or a page."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from matokit_pipelines.reports import formats
from matokit_pipelines.reports.marking import Marker, as_document

ZONE = ZoneInfo("Europe/Copenhagen")


def plain(text: str) -> str:
    return text.replace(formats.NARROW_SPACE, " ").replace(formats.SPACE, " ").replace(formats.MINUS, "-")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.9999, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.83149, "83.1 %"),
    ],
)
def test_percentages_are_never_rounded_to_all_or_nothing(value, shown):
    assert plain(formats.percent(value)) == shown


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_share_reads_as_all_or_nothing_only_when_it_is(part, more):
    shown = plain(formats.percent(part / (part + more)))
    assert (shown == "0.0 %") == (part == 0)
    assert shown != "100.0 %"


@given(st.integers(-(10**12), 10**12))
def test_counts_can_be_read_back(value):
    assert int(plain(formats.count(value)).replace(" ", "")) == value
    assert int(plain(formats.change(value)).replace(" ", "").replace("±", "")) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-0.1211, "-12.1 points"), (0.0, "±0.0 points"), (0.0001, "±0.0 points"), (0.5, "+50.0 points")],
)
def test_changes_of_rates_are_points_with_a_sign(value, shown):
    assert plain(formats.points(value)) == shown


def test_nothing_is_a_dash_and_zero_is_a_zero():
    assert formats.in_words(None, "percent", ZONE) == "—"
    assert formats.in_words(0, "count", ZONE) == "0"


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Sun 25 Oct 2026 02:30"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Sun 25 Oct 2026 02:30"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "Sun 29 Mar 2026 03:00"),
    ],
)
def test_instants_read_in_the_projects_zone(instant, shown):
    assert plain(formats.instant_of_year(instant, ZONE)) == shown


def test_days_read_the_same_in_every_locale():
    assert plain(formats.weekday(date(2026, 11, 9))) == "Mon 9 Nov"


@given(st.text())
def test_text_from_outside_stays_on_one_line_in_its_own_direction(text):
    shown = formats.plain(text)
    assert len(shown) == len(text)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\x00\x1b")


@given(st.text())
def test_text_from_outside_is_escaped_in_a_page_and_whole_in_text(text):
    document = as_document({"rows": [{"component": text}]})
    html = Marker(document, ZONE, html=True).say("{rows.0.component|text} & more")
    assert isinstance(html, Markup)
    inner = html.partition(">")[2].rpartition("</bdi>")[0].replace("<wbr>", "")
    assert Markup(inner).unescape() == formats.plain(text)
    assert "<" not in inner
    assert html.endswith(" &amp; more")
    assert Marker(document, ZONE, html=False).say("{rows.0.component|text}") == formats.plain(text)


def test_braces_in_a_value_name_no_other_value():
    document = {"name": "{secret|text}", "secret": "x"}
    assert Marker(document, ZONE, html=False).say("{name|text}") == "{secret|text}"


def test_a_value_that_is_not_in_the_document_is_an_error():
    with pytest.raises(KeyError):
        Marker({}, ZONE, html=True).say("{totals|count}")


def test_columns_are_aligned():
    assert formats.aligned([["a", "1"], ["bcd", "22"]]) == "a     1\nbcd  22"
    assert formats.aligned([]) == ""
