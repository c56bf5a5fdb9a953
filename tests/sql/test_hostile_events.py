"""Whatever anybody sends, a build reads it, every check holds, and one event gives one row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.connection import in_memory

START = datetime(2026, 3, 28, tzinfo=UTC)
anything = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def like(*words):
    """Texts made of known words and noise, in any order and case."""
    parts = st.sampled_from([*words, *(word.upper() for word in words), "_", " ", "\u00a0", "\n", "(", ".", "1", "é"])
    return anything | st.lists(parts, max_size=6).map("".join)


events = st.fixed_dictionaries(
    {
        "event_ts": st.integers(0, 4 * 86_400).map(lambda seconds: START + timedelta(seconds=seconds)),
        "category": like("installer", "_prod", "_ci", "autoinstalls") | st.just("Installer"),
        "name": like("python", "install", "_network", "_error", "_start", "_partial", "_failure", "log", "test", "all"),
        "value": st.none() | st.floats() | st.sampled_from([0.0, 1.0, 2.0, 10.0, 99.0, -0.0, 1e308]),
        "os_raw": like("darwin", "macos", "10.16", "linux", "ubuntu", "windows", "10.0.", "22631", "server", "2022"),
        "architecture_raw": like("arm64", "x86_64", "i386"),
        "commit_raw": like("abc1234", "unknown", "1.0.0", "test001", "0" * 40),
        "visitor_id": st.none() | st.sampled_from(["", "ann", "bob"]),
        "sender_event_id_raw": anything,
        "contract_raw": st.none() | st.sampled_from(["", " ", "1"]),
        "duration_raw": anything | st.floats().map(str),
        "error_type_raw": anything,
        "exit_code_raw": anything | st.integers().map(str),
        "vanished_at": st.sampled_from([None, None, None, START]),
    }
)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(events, min_size=1, max_size=30))
@example(rows=[{"name": "all", "value": 1.0}, {"name": "_network_error"}, {"name": "'; drop schema raw; --"}])
def test_no_event_breaks_a_build(land, now, rows):
    con = in_memory(now)
    try:
        land(con, "raw.matomo_events", rows)
        result = build(con, options=BuildOptions(), now=now)
        read = con.execute("select count(*) from staging.installer_events").fetchall()
        status = con.execute("select sum(landed) from marts.data_quality_daily").fetchall()
    finally:
        con.close()
    assert read == [(len(rows),)]
    assert status == [(len(rows),)]
    assert all(check.passed or check.severity == "warn" for check in result.checks)
