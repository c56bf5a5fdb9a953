"""Pages of raw data of the simulated Piwik PRO: their shape and types, and what is refused, as documented."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import requests

from matokit_pipelines.simulator import OTHER_SLOTS, Dimension
from tests.contract.piwik_pro_asking import ALWAYS, COLUMNS, Asking, at, both, free, log, only, truth

DAY = {"date_from": "2026-11-20 00:00:00", "date_to": "2026-11-21 00:00:00"}
DEFAULTS = ["session_id", "event_id", "visitor_id", "timestamp"]


@pytest.mark.parametrize("media", ["application/json", "application/vnd.api+json"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_both_media_types_and_both_spellings_of_a_path_work_without_a_redirect(media: str, slash: str) -> None:
    with Asking() as ask:
        body = json.dumps({"website_id": ask.sim.site_id, "columns": [], "relative_date": "yesterday"})
        answer = requests.post(
            f"{ask.sim.url}/api/analytics/v1/events{slash}",
            data=body,
            headers=ask.headers(**{"Content-Type": media}),
            timeout=5,
            allow_redirects=False,
        )
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_a_page_has_lists_in_the_order_of_its_columns_default_ones_first() -> None:
    with Asking() as ask:
        value = ask.post("events", **DAY, limit=3).json()
        assert list(value) == ["data", "meta"]
        assert value["meta"]["columns"] == [*DEFAULTS, *COLUMNS]
        assert len(value["data"]) == 3
        assert value["meta"]["count"] > 3
        for row in value["data"]:
            assert isinstance(row, list)
            assert len(row) == len(DEFAULTS) + len(COLUMNS)


def test_ids_are_texts_of_unsigned_64_bit_numbers_and_times_have_no_zone() -> None:
    with Asking() as ask:
        rows = ask.rows()
        for row in rows:
            assert re.fullmatch(r"\d{1,20}", row["session_id"])
            assert re.fullmatch(r"[0-9a-f]{16}", row["visitor_id"])
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", row["timestamp"])
        ids = [int(row["event_id"]) for row in rows]
        assert len(set(ids)) == len(ids) == truth().events.height
        assert 0.4 < sum(i >= 2**63 for i in ids) / len(ids) < 0.6
        assert {row["session_id"] for row in rows} <= {row["event_id"] for row in rows}


def test_ids_may_be_numbers_if_that_assumption_is_wrong() -> None:
    with Asking(assumed=free(ids_as_text=False)) as ask:
        assert all(isinstance(row["event_id"], int) for row in ask.rows(limit=5))


def test_enumerated_values_are_pairs_and_empty_text_is_not_null() -> None:
    with Asking() as ask:
        columns = [*COLUMNS, "operating_system", "website_name", "event_url"]
        rows = ask.rows(columns=columns)
        assert {tuple(row["event_type"]) for row in rows} == {(1, "Page view"), (5, "Custom event")}
        view = next(row for row in rows if row["event_type"][0] == 1)
        assert view["event_url"].startswith("https://")
        assert [view[f"custom_event_{name}"] for name in ("category", "action", "name")] == ["", "", ""]
        assert view["custom_event_value"] is None
        assert view["event_custom_dimension_1"] == ""
        assert view["operating_system"] is None
        assert view["website_name"] == [ask.sim.site_id, "Installer"]
        event = next(row for row in rows if row["custom_event_category"].startswith("Installer"))
        assert event["event_url"] == ""


def test_an_unknown_enumerated_value_may_also_be_a_pair_of_nulls() -> None:
    with Asking(assumed=free(null_enum="pair")) as ask:
        assert ask.rows(columns=["operating_system"], limit=1)[0]["operating_system"] == [None, None]


def test_whole_numbers_are_written_with_and_without_a_fraction() -> None:
    with Asking() as ask:
        text = ask.post("events", columns=["custom_event_value"], **ALWAYS).text
        assert re.search(r",1\]", text)
        assert re.search(r",1\.0\]", text)
        assert re.search(r",37\.5\]", text)
    with Asking(assumed=free(values_as="float")) as ask:
        assert not re.search(r",1\]", ask.post("events", columns=["custom_event_value"], **ALWAYS).text)
    with Asking(assumed=free(values_as="int")) as ask:
        assert ",1.0]" not in ask.post("events", columns=["custom_event_value"], **ALWAYS).text


def test_the_default_limit_is_one_hundred_and_count_is_of_the_whole_query() -> None:
    with Asking(assumed=free(order="pinned")) as ask:
        whole = ask.rows(columns=[])
        window = {key: ALWAYS[key] for key in ("date_from", "date_to")}
        first = ask.post("events", columns=[], **window).json()
        assert len(first["data"]) == 100
        assert first["meta"]["count"] == len(whole)
        deep = ask.post("events", columns=[], **window, offset=len(whole) - 7, limit=50).json()
        assert (len(deep["data"]), deep["meta"]["count"]) == (7, len(whole))
        beyond = ask.post("events", columns=[], **window, offset=len(whole), limit=50).json()
        assert (beyond["data"], beyond["meta"]["count"]) == ([], len(whole))


def test_an_empty_result_is_no_error() -> None:
    with Asking() as ask:
        value = ask.post("events", date_from="2019-01-01", date_to="2019-01-01").json()
        assert value == {"data": [], "meta": {"columns": [*DEFAULTS, *COLUMNS], "count": 0}}


def test_text_is_kept_as_sent_whatever_letters_it_has() -> None:
    names = ['a "quoted" name', "back\\slash", "line\nbreak", "  blanks  ", "æøå 日本語 😀", "],[", ""]
    events = log(
        *({"event_ts": at("2026-11-20 10:00:00") + timedelta(minutes=n), "name": t} for n, t in enumerate(names))
    )
    with Asking(events) as ask:
        assert ask.names() == sorted(names)


def test_values_are_floats_as_sent_and_nothing_of_what_is_out_of_range() -> None:
    sent = [0.0, 1.0, 0.1, 37.5, 1e11, -1.0, 1e12, None]
    events = log(*({"event_ts": at("2026-11-20 10:00:00"), "name": str(n), "value": v} for n, v in enumerate(sent)))
    with Asking(events) as ask:
        got = {row["custom_event_name"]: row["custom_event_value"] for row in ask.rows()}
        assert [got[str(n)] for n in range(8)] == [0.0, 1.0, 0.1, 37.5, 1e11, None, None, None]
    with Asking(events, assumed=free(odd_value="broken")) as ask:
        assert ask.names() == ["0", "1", "2", "3", "4", "7"]


@pytest.mark.parametrize(
    ("body", "status", "parameter", "detail"),
    [
        ({"columns": ["example"]}, 400, "columns.0.column_id", 'Dimension "example" does not exist.'),
        ({"columns": [{"transformation_id": "lower"}]}, 400, "columns.0.column_id", "required"),
        ({"columns": None}, 400, "columns", "required"),
        ({"columns": [{"column_id": "event_type", "transformation_id": "to_date"}]}, 400, None, "to_date"),
        ({"columns": [{"column_id": "custom_event_value", "transformation_id": "sum"}]}, 400, None, "sum"),
        ({"website_id": None}, 400, "website_id", "required"),
        ({"website_id": "nonsense"}, 400, "website_id", "UUID"),
        ({"website_id": "00000000-0000-4000-8000-000000000000"}, 404, None, "Not found."),
        ({"relative_date": "yesterday"}, 400, "relative_date", "cannot be used together"),
        ({"date_from": None, "date_to": None}, 400, "date_from", "required"),
        ({"date_to": None}, 400, "date_to", "required"),
        ({"date_from": "20.11.2026"}, 400, "date_from", "wrong format"),
        ({"date_from": "2026-02-30"}, 400, "date_from", "wrong format"),
        ({"date_from": "2026-11-22"}, 400, "date_from", "after date_to"),
        ({"date_from": None, "date_to": None, "relative_date": "last_366_days"}, 400, "relative_date", "choice"),
        ({"limit": 100_001}, 400, "limit", "less than or equal to 100000"),
        ({"limit": 0}, 400, "limit", "greater than or equal to 1"),
        ({"limit": "many"}, 400, "limit", "integer"),
        ({"offset": -1}, 400, "offset", "greater than or equal to 0"),
        ({"format": "xml"}, 400, "format", "choice"),
        ({"column_format": "both"}, 400, "column_format", "choice"),
        ({"filters": both(only("example", "eq", "x"))}, 400, "filters.conditions.0.column_id", "does not exist"),
        ({"filters": both(only("custom_event_name", "contains", "x"))}, 400, None, '"contains"'),
        ({"filters": both(only("custom_event_name", "eq", 5))}, 400, None, "type"),
        ({"filters": both(only("custom_event_value", "eq", "5"))}, 400, None, "type"),
        ({"filters": both(only("custom_event_name", "matches", "("))}, 400, None, "regular expression"),
        ({"filters": {"operator": "xor", "conditions": []}}, 400, "filters.operator", "choice"),
        ({"filters": [1]}, 400, "filters", "operator"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    body: dict[str, Any], status: int, parameter: str | None, detail: str
) -> None:
    with Asking() as ask:
        answer = ask.post("events", **({"date_from": "2026-11-20", "date_to": "2026-11-21"} | body))
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        (error,) = answer.json()["errors"]
        assert error["status"] == str(status)
        assert detail in error["detail"]
        if parameter is not None:
            assert error["source"] == {"parameter": parameter}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b""])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with Asking() as ask:
        url = ask.sim.url + "/api/analytics/v1/events/"
        headers = ask.headers(**{"Content-Type": "application/json"})
        assert requests.post(url, data=body, headers=headers, timeout=5).status_code == 400
        wrong = ask.headers(**{"Content-Type": "text/plain"})
        assert requests.post(url, data=b"{}", headers=wrong, timeout=5).status_code == 415
        assert requests.get(url, headers=headers, timeout=5).status_code == 405


def test_readings_of_the_undocumented_can_be_switched() -> None:
    with Asking(
        assumed=free(indexed_parameter=False, limit_too_large="cut", t_separator=False, unknown_site=403)
    ) as ask:
        assert ask.post("events", columns=["no"], **DAY).json()["errors"][0]["source"] == {
            "parameter": "columns.column_id"
        }
        assert ask.post("events", **DAY, limit=100_001).status_code == 200
        assert ask.post("events", date_from="2026-11-20T00:00:00", date_to="2026-11-21").status_code == 400
        assert ask.post("events", **DAY, website_id="00000000-0000-4000-8000-000000000000").status_code == 403
    with Asking(assumed=free(empty_columns=False)) as ask:
        assert ask.post("events", columns=[], **DAY).status_code == 400


def test_transformed_columns_are_called_after_both() -> None:
    events = log({"event_ts": at("2026-11-20 09:44:31"), "category": "INSTALLER", "url": "https://a.example/p/q?x=1"})
    with Asking(events) as ask:
        wanted = [
            ("custom_event_category", "lower", "installer"),
            ("timestamp", "to_date", "2026-11-20"),
            ("timestamp", "to_start_of_minute", "2026-11-20T10:44:00"),
            ("timestamp", "to_start_of_five_minutes", "2026-11-20T10:40:00"),
            ("timestamp", "to_start_of_ten_minutes", "2026-11-20T10:40:00"),
            ("timestamp", "to_start_of_hour", "2026-11-20T10:00:00"),
            ("timestamp", "to_start_of_week", "2026-11-16"),
            ("timestamp", "to_start_of_month", "2026-11-01"),
            ("timestamp", "to_start_of_quarter", "2026-10-01"),
            ("timestamp", "to_start_of_year", "2026-01-01"),
            ("timestamp", "to_hour_of_day", 10),
            ("timestamp", "to_day_of_week", 5),
            ("timestamp", "to_month_number", 11),
            ("event_url", "to_path", "/p/q"),
            ("event_url", "to_domain", "a.example"),
            ("event_url", "strip_qs", "https://a.example/p/q"),
        ]
        columns = [{"column_id": column, "transformation_id": change} for column, change, _ in wanted]
        (row,) = ask.rows(columns=columns)
        assert {key: row[key] for key in row if "__" in key} == {f"{c}__{t}": v for c, t, v in wanted}


def test_other_formats_as_assumed() -> None:
    events = log({"event_ts": at("2026-11-20 10:00:00"), "name": 'a,"b"', "value": None})
    with Asking(events) as ask:
        value = ask.post("events", **ALWAYS, format="json-kv").json()
        assert list(value["data"][0]) == value["meta"]["columns"]
        assert value["data"][0]["event_type"] == [5, "Custom event"]
        table = ask.post(
            "events", columns=["event_type", "custom_event_name", "custom_event_value"], **ALWAYS, format="csv"
        )
        assert table.headers["content-type"] == "text/csv"
        header, row, end = table.text.split("\r\n")
        assert header == "session_id,event_id,visitor_id,timestamp,event_type,custom_event_name,custom_event_value"
        assert row.endswith(',2026-11-20T11:00:00,Custom event,"a,""b""",')
        assert end == ""
        named = ask.post("events", columns=["event_type"], **ALWAYS, column_format="name").json()
        assert named["meta"]["columns"] == ["Session ID", "Event ID", "Visitor ID", "Timestamp", "Event type"]


def test_large_answers_are_zipped_when_asked_and_only_then() -> None:
    with Asking() as ask:
        url, body = ask.sim.url + "/api/analytics/v1/events/", {"website_id": ask.sim.site_id, "columns": [], **ALWAYS}
        plain = requests.post(url, json=body, headers=ask.headers(**{"Accept-Encoding": "identity"}), timeout=5)
        small = requests.post(url, json=body, headers=ask.headers(**{"Accept-Encoding": "gzip"}), timeout=5)
        assert "content-encoding" not in plain.headers
        assert small.headers["content-encoding"] == "gzip"
        assert int(small.headers["content-length"]) < len(plain.content)
        assert sorted(small.json()["data"]) == sorted(plain.json()["data"])


def test_personal_data_is_there_for_those_who_ask() -> None:
    with Asking() as ask:
        personal = ["ipv4_address", "user_id", "cookie_id", "location_city_name", "location_country_name"]
        row = ask.rows(columns=personal, limit=1)[0]
        assert all(row[name] for name in personal)
        assert [one["column_id"] for one in ask.sim.requests.recent[-1][1]["columns"]] == personal


def test_a_dimension_is_found_in_its_slot_and_scope() -> None:
    sent = {"dimension1": "Darwin14.2.1", "dimension2": "arm64", "dimension3": "A1B2C3D"}
    one, two = at("2026-11-20 10:00:00"), at("2026-11-20 10:01:00")
    events = log({"event_ts": one, **sent}, {"event_ts": two, "name": "y"})
    columns = [
        "custom_event_name",
        "session_custom_dimension_1",
        "event_custom_dimension_1",
        "event_custom_dimension_2",
    ]
    with Asking(events, dimensions=OTHER_SLOTS) as ask:
        rows = sorted(
            ask.rows(columns=[*columns, "event_custom_dimension_3"]), key=lambda row: row["custom_event_name"]
        )
        # Of the session's scope, so both events have it; the others only where they were sent.
        assert [row["session_custom_dimension_1"] for row in rows] == ["Darwin14.2.1", "Darwin14.2.1"]
        assert [row["event_custom_dimension_1"] for row in rows] == ["arm64", ""]
        assert [row["event_custom_dimension_2"] for row in rows] == ["A1B2C3D", ""]
        assert [row["event_custom_dimension_3"] for row in rows] == ["", ""]


def test_a_dimension_folds_case_or_drops_what_is_sent() -> None:
    events = log({"event_ts": at("2026-11-20 10:00:00"), "dimension1": "ARM64", "dimension2": "x"})
    kinds = [Dimension(1, 1, "A", case_sensitive=False), Dimension(2, 2, "B", active=False)]
    with Asking(events, dimensions=kinds) as ask:
        (row,) = ask.rows(columns=["event_custom_dimension_1", "event_custom_dimension_2"])
        assert (row["event_custom_dimension_1"], row["event_custom_dimension_2"]) == ("arm64", "")
    with Asking(events, dimensions=kinds, assumed=free(folds=False)) as ask:
        assert ask.rows(columns=["event_custom_dimension_1"])[0]["event_custom_dimension_1"] == "ARM64"


def test_the_frame_of_a_page_is_as_in_the_examples_unless_switched() -> None:
    starts = {"data_first": b'{"data":[["', "meta_first": b'{"meta":{"columns":["', "spaced": b'{\n "data": [\n  [\n'}
    values = []
    for frame, start in starts.items():
        with Asking(assumed=free(frame=frame, order="pinned")) as ask:
            answer = ask.post("events", **DAY)
            assert answer.content.startswith(start)
            values.append(answer.json())
            empty = ask.post("events", date_from="2019-01-01", date_to="2019-01-01").json()
            assert (empty["data"], empty["meta"]["count"]) == ([], 0)
    assert values[0] == values[1] == values[2]
