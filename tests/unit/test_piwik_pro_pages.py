"""Pages of raw data: the bytes cut out are the rows, whatever texts they hold, and odd pages are told from broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.sources.piwik_pro_pages import HalfDocument, OddPage, Page, cut, slow_rows

COLUMNS = ["session_id", "event_id", "visitor_id", "timestamp", "custom_event_name"]
ROW = ["18446744073709551615", "9914512345678901234", "4e2ac4d7dfddfad1", "2026-11-20T09:12:44", "homebrew_install"]
MARKS = [
    '],"meta":{',
    '"}}',
    "]]",
    '],["',
    '":',
    '\\":',
    ':"',
    "\\",
    '"',
    "],",
    '{"data":[',
    "\u2028",
    "\x00",
    "\ud800",
]

hostile = st.lists(st.one_of(st.sampled_from(MARKS), st.text(max_size=4)), max_size=6).map("".join)
value = st.one_of(
    hostile,
    st.none(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.tuples(st.integers(0, 30), hostile).map(list),
)
rows = st.lists(st.lists(value, min_size=5, max_size=5), max_size=6)
metas = st.dictionaries(hostile, value, max_size=2).map(lambda more: {**more, "columns": COLUMNS, "count": 7})


def compact(document: Any, *, ascii_only: bool = False) -> bytes:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=ascii_only)
    return text.encode("utf-8", errors="surrogatepass")


def rows_in(page: Page) -> Any:
    """What a reader of the page's bytes finds."""
    found = json.loads(page.rows.decode("utf-8", errors="surrogatepass"))
    return found if page.exact_frame else found["data"]


@settings(max_examples=400, deadline=None)
@given(rows, metas, st.booleans())
def test_cut_rows_are_the_rows(data: list[list[Any]], meta: dict[str, Any], ascii_only: bool) -> None:
    body = compact({"data": data, "meta": meta}, ascii_only=ascii_only)
    page = cut(body)
    assert rows_in(page) == data
    assert page.columns == tuple(COLUMNS)
    assert page.count == 7


anything = st.recursive(
    value, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hostile, inner, max_size=3))
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("data"), st.lists(anything, max_size=4)),
            st.tuples(st.just("meta"), metas),
            st.tuples(hostile, anything),
        ),
        max_size=4,
    ),
    st.sampled_from([(",", ":"), (", ", ": "), (",", ": ")]),
)
def test_no_other_frame_is_taken_for_the_expected_one(
    members: list[tuple[str, Any]], separators: tuple[str, str]
) -> None:
    """Members in any order, several times, beside others: what is cut is what a JSON parser finds."""
    written = [json.dumps(key) + separators[1] + json.dumps(member, separators=separators) for key, member in members]
    body = ("{" + separators[0].join(written) + "}").encode()
    known = json.loads(body)
    try:
        page = cut(body)
    except OddPage:
        assert not isinstance(known.get("data"), list) or not isinstance(known.get("meta"), dict)
        return
    assert rows_in(page) == known["data"]
    assert page.count == known["meta"]["count"]


@given(rows.filter(bool))
def test_usual_pages_take_the_fast_path(data: list[list[Any]]) -> None:
    body = compact({"data": data, "meta": {"columns": COLUMNS, "count": len(data)}}, ascii_only=True)
    ambiguous = any(b'":' in compact(part, ascii_only=True) for row in data for part in row)
    assert cut(body).exact_frame or ambiguous


def test_text_with_an_escaped_key_is_still_a_text() -> None:
    data = [[*ROW[:4], '{"error":"x","at":3}']]
    page = cut(compact({"data": data, "meta": {"columns": COLUMNS, "count": 1}}))
    assert page.exact_frame
    assert rows_in(page) == data


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"data": [ROW], "meta": {"columns": COLUMNS, "count": 1}}).encode(),
        json.dumps({"data": [ROW], "meta": {"columns": COLUMNS, "count": 1}}, indent=1).encode(),
        compact({"meta": {"columns": COLUMNS, "count": 1}, "data": [ROW]}),
        compact({"data": [ROW], "meta": {"columns": COLUMNS, "count": 1}}) + b"\n",
        compact({"data": [ROW], "took": 3, "meta": {"columns": COLUMNS, "count": 1}}),
        compact({"data": [ROW], "more": [ROW], "meta": {"columns": COLUMNS, "count": 1}}),
        compact({"data": [ROW], "more\\": [ROW], "meta": {"columns": COLUMNS, "count": 1}}),
        compact({"data": [ROW], "meta": {"columns": COLUMNS, "count": 1}, "took": 3}),
        compact({"data": [dict(zip(COLUMNS, ROW, strict=True))], "meta": {"columns": COLUMNS, "count": 1}}),
        compact({"data": [], "meta": {"columns": COLUMNS, "count": 0}}),
    ],
    ids=[
        "blanks",
        "lines",
        "meta first",
        "line end",
        "more",
        "more rows",
        "odd key",
        "more at the end",
        "objects",
        "empty",
    ],
)
def test_other_frames_stay_whole(body: bytes) -> None:
    page = cut(body)
    assert not page.exact_frame
    assert page.rows == body
    assert page.columns == tuple(COLUMNS)
    assert page.count in (0, 1)


@given(rows.filter(bool), st.data())
def test_half_a_page_is_none(data: list[list[Any]], draw: st.DataObject) -> None:
    body = compact({"data": data, "meta": {"columns": COLUMNS, "count": 1}})
    at = draw.draw(st.integers(0, len(body) - 1))
    with pytest.raises(HalfDocument):
        cut(body[:at])


def test_page_that_ends_in_another_letter_is_none() -> None:
    body = compact({"data": [ROW], "meta": {"columns": COLUMNS, "count": 1}})
    assert cut(body).exact_frame
    with pytest.raises(HalfDocument):
        cut(body[:-1] + b"]")


@pytest.mark.parametrize("body", [b"", b"<html></html>", b'{"data":[', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_may_be_tried_again(body: bytes) -> None:
    for read in (cut, slow_rows):
        with pytest.raises(HalfDocument):
            read(body)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "no list of rows"),
        (None, "no list of rows"),
        ({"meta": {"columns": COLUMNS, "count": 0}}, "no list of rows"),
        ({"data": {}, "meta": {"columns": COLUMNS, "count": 0}}, "no list of rows"),
        ({"data": [ROW]}, "without a description"),
        ({"data": [ROW], "meta": []}, "without a description"),
        *(
            ({"data": data, "meta": {"columns": COLUMNS, "count": count}}, "how many rows")
            for data in ([], [ROW])
            for count in (None, -1, 1.0, "1", True)
        ),
        ({"data": [ROW], "meta": {"columns": COLUMNS}}, "how many rows"),
        ({"data": [ROW], "meta": {"count": 1}}, "name its columns"),
        ({"data": [ROW], "meta": {"columns": "event_id,timestamp", "count": 1}}, "name its columns"),
        ({"data": [ROW], "meta": {"columns": ["event_id", "timestamp", 3], "count": 1}}, "name its columns"),
        ({"data": [ROW], "meta": {"columns": [*COLUMNS, "event_id"], "count": 1}}, "a column twice"),
        ({"data": [ROW], "meta": {"columns": COLUMNS[2:], "count": 1}}, "lacks the column event_id"),
        ({"data": [ROW], "meta": {"columns": COLUMNS[:3], "count": 1}}, "lacks the column timestamp"),
    ],
)
def test_page_that_cannot_be_relied_on_is_told(document: Any, words: str) -> None:
    with pytest.raises(OddPage, match=words):
        cut(compact(document))


def test_needed_columns_are_the_callers_choice() -> None:
    body = compact({"data": [["2026-11-20T09:12:44"]], "meta": {"columns": ["timestamp"], "count": 1}})
    assert cut(body, ("timestamp",)).columns == ("timestamp",)


@settings(deadline=None)
@given(rows, st.booleans())
def test_slow_rows_are_the_rows(data: list[list[Any]], as_objects: bool) -> None:
    given_rows: list[Any] = [dict(zip(COLUMNS, row, strict=True)) for row in data] if as_objects else data
    found, odd = slow_rows(compact({"data": given_rows, "meta": {"columns": COLUMNS, "count": len(data)}}))
    assert odd == []
    assert len(found) == len(data)
    for row, sent in zip(found, data, strict=True):
        for part, said in zip(row, sent, strict=True):
            if "\ud800" not in json.dumps(said, ensure_ascii=False):
                assert part == said
    json.dumps(found, ensure_ascii=False).encode()  # nothing is left that cannot be stored


def test_objects_are_put_in_order_whatever_theirs_is() -> None:
    row = dict(sorted(zip(COLUMNS, ROW, strict=True)), extra=1)
    found, odd = slow_rows(compact({"data": [row, ROW], "meta": {"columns": COLUMNS, "count": 2}}))
    assert found == [ROW, ROW]
    assert odd == []


def test_rows_that_are_none_are_kept_apart_without_the_visitor() -> None:
    short = dict(zip(COLUMNS[:4], ROW, strict=False), user_id="somebody")
    body = compact({"data": [ROW[:4], [*ROW, 1], short, 7, None, ROW], "meta": {"columns": COLUMNS, "count": 6}})
    found, odd = slow_rows(body)
    assert found == [ROW]
    assert [piece.reason for piece in odd] == [
        "a row of 4 values where 5 are announced",
        "a row of 6 values where 5 are announced",
        "a row without custom_event_name",
        "not a row",
        "not a row",
    ]
    assert all("4e2ac4d7dfddfad1" not in piece.payload and "somebody" not in piece.payload for piece in odd)
    assert "9914512345678901234" in odd[0].payload
    assert json.loads(odd[2].payload) == {"event_id": ROW[1], "timestamp": ROW[3]}


def test_quarantined_pieces_are_bounded() -> None:
    _, [piece] = slow_rows(compact({"data": [["x" * 10_000]], "meta": {"columns": COLUMNS, "count": 1}}))
    assert len(piece.payload) == 2000


def test_bytes_that_are_no_text_cost_a_letter_and_not_the_page() -> None:
    body = compact({"data": [ROW], "meta": {"columns": COLUMNS, "count": 1}}).replace(b"homebrew", b"home\xffbrew")
    assert slow_rows(body)[0][0][-1] == "home�brew_install"


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\uD83D", rb"\ude00"])
def test_half_a_letter_is_replaced_since_nothing_can_store_it(half: bytes) -> None:
    body = compact({"data": [ROW, dict(zip(COLUMNS, ROW, strict=True))], "meta": {"columns": COLUMNS, "count": 2}})
    found, _ = slow_rows(body.replace(b"homebrew", half))
    assert [row[-1] for row in found] == ["?_install"] * 2
    whole, _ = slow_rows(body.replace(b"homebrew", rb"\ud83d\ude00"))
    assert [row[-1] for row in whole] == ["\U0001f600_install"] * 2
