"""Rows over several periods of which each keeps its first ones only: exact, or told to be not."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.toolserver.sites import Connection, Site
from matokit_pipelines.toolserver.web.dates import span_of
from matokit_pipelines.toolserver.web.reports import PAGE_URLS, REFERRERS
from matokit_pipelines.toolserver.web.tables import Ranking, ranking_of
from matokit_pipelines.warehouse.serving import Reader, _Cursor
from matokit_pipelines.warehouse.snapshots import Manifest

FIRST = date(2026, 11, 1)
TODAY = date(2026, 11, 30)
SITE = Site("2", "shop", "shop", Connection("shop", "https://matomo.example.org", "MATOKIT_SHOP_TOKEN", str))
MANIFEST = Manifest(1, datetime(2026, 11, 30, tzinfo=UTC), "0", "0", "UTC", None, {})
CONNECTION = duckdb.connect(config={"threads": 1})
COLUMNS = (
    "source varchar, site_id varchar, period varchar, period_start date, position bigint, label varchar, "
    "nb_visits double, referrer_type bigint, is_others boolean"
)


def stored(days: list[dict[str, int]], kept: int, table: str = "web_page_urls") -> Reader:
    """A snapshot's table that holds the first `kept` rows of each day."""
    rows = [
        (FIRST + timedelta(days=number), place + 1, label, visits, label == "Others")
        for number, day in enumerate(days)
        for place, (label, visits) in enumerate(sorted(day.items(), key=lambda row: (-row[1], row[0]))[:kept])
    ]
    connection = CONNECTION.cursor()
    connection.execute(f"create or replace table {table} ({COLUMNS})")
    if rows:
        values = ", ".join(["('shop', '2', 'day', ?, ?, ?, ?, 3, ?)"] * len(rows))
        connection.execute(f"insert into {table} values {values}", [value for row in rows for value in row])
    return Reader(_Cursor(connection), MANIFEST)


def ranked(days: list[dict[str, int]], kept: int, limit: int) -> Ranking:
    span = span_of("day", f"{FIRST},{FIRST + timedelta(days=len(days) - 1)}", TODAY)
    return ranking_of(stored(days, kept), SITE, PAGE_URLS, span, limit=limit, kept=kept)


DAYS = st.lists(st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 9), max_size=10), min_size=1, max_size=5)


@settings(max_examples=60)
@given(days=DAYS, kept=st.integers(1, 8), limit=st.integers(1, 6))
def test_what_is_called_exact_is_what_whole_lists_give(days: list[dict[str, int]], kept: int, limit: int) -> None:
    truth: Counter[str] = Counter()
    for day in days:
        truth.update(day)
    found = ranked(days, kept, limit)
    whole = max(len(day) for day in days) < kept
    assert found.is_exact or not whole
    if whole:
        assert found.labels == sorted(truth, key=lambda label: (-truth[label], label))[:limit]
    if found.is_exact:
        best = sorted(truth.values(), reverse=True)[:limit]
        assert [truth[label] for label in found.labels] == best[: len(found.labels)]
        assert not any(best[len(found.labels) :])
    if found.is_whole:
        assert set(found.labels) >= {label for label in truth if truth[label]}


def test_a_row_that_may_be_cut_away_is_noticed() -> None:
    days = [{"a": 9, "b": 5, "c": 4}, {"a": 9, "c": 5, "b": 4}]
    assert ranked(days, kept=3, limit=1).labels == ["a"]
    assert ranked(days, kept=2, limit=1).is_exact
    assert not ranked(days, kept=2, limit=2).is_exact  # b and c may have 9 each, of which 5 are seen


def test_the_sum_of_the_rest_is_no_label() -> None:
    found = ranked([{"a": 3, "Others": 50}, {"a": 2}], kept=250, limit=10)
    assert (found.labels, found.is_exact, found.is_whole) == (["a"], True, False)


def test_one_name_of_two_kinds_is_two_rows() -> None:
    reader = stored([{"news": 3}], 250, "web_referrers")
    reader._cursor._connection.execute(
        "insert into web_referrers values ('shop', '2', 'day', date '2026-11-01', 2, 'news', 5, 6, false)"
    )
    span = span_of("day", f"{FIRST}", TODAY)
    found = ranking_of(reader, SITE, REFERRERS, span, limit=5, kept=250)
    assert found.identities == [("news", 6), ("news", 3)]
