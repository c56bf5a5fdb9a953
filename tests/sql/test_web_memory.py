"""Web reports are derived in the memory that their rows take, whatever the length of the report around a row.

A macro of a whole report that is evaluated beside each of its rows needs the square of it: a gigabyte for this here.
"""

from __future__ import annotations

import json

from matokit_pipelines.warehouse.build import BuildOptions, build

DAYS, ROWS = 10, 250
LISTS = ("page_urls", "entry_pages", "campaigns", "referrers")  # all by the same views


def body():
    rows = [
        {
            "label": f"/page-{place}",
            "segment": f"pageUrl=={place}",
            "nb_visits": place,
            "goals": "x" * 900,
        }
        for place in range(ROWS - 1)
    ]
    return json.dumps([*rows, {"label": "Andre", "nb_visits": 1}])


def test_long_reports_are_derived_in_a_quarter_of_the_memory_that_a_build_may_use(con, now):
    con.execute("set memory_limit = '250MB'")
    con.execute(
        "insert into raw.web_reports select 'shop', '2', report, '', 'day', cast(day as date), cast(day as date), "
        "$body, $rows, $now, 'final' from (select unnest($lists) as report), "
        "range(date '2026-11-01', date '2026-11-01' + to_days($days), interval 1 day) as days(day)",
        {"body": body(), "rows": ROWS, "now": now, "lists": list(LISTS), "days": DAYS},
    )
    con.execute(
        "insert into raw.web_reports select source, site_id, 'visits', '', period, period_start, period_end, "
        "'{\"nb_visits\": 1}', 1, fetched_at, state from raw.web_reports where report = 'page_urls'"
    )
    con.execute(
        "insert into ledger.web_periods select source, site_id, period, period_start, period_end, state, 1, false, 5, "
        "fetched_at, fetched_at from raw.web_reports where report = 'visits'"
    )
    result = build(con, options=BuildOptions(), now=now)
    assert {report: result.rows[f"marts.web_{report}"] for report in LISTS} == dict.fromkeys(LISTS, DAYS * ROWS)
    others = con.execute("select period_start, position from marts.web_page_urls where is_others").fetchall()
    assert len(others) == DAYS
    assert {position for _, position in others} == {ROWS}
