"""Settings corrected, clocks set, sites moved between two passes: nothing stays wrong without a word."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import AnswerNotUnderstood, SettingsError
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.refresh import Home, extract, matomo_client_for
from tests.replay import TOKEN, fixture_day, home_at, rows_of

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
OS = "select count(*) from raw.matomo_events where os_raw like 'Darwin%' or os_raw like 'Linux%'"


def test_corrected_dimensions_reach_what_was_landed(tmp_path: Path) -> None:
    with fixture_day().serving() as server:
        wrong = home_at(tmp_path, server.url, now=NOW, source="dimensions = { os = 2, architecture = 1, commit = 3 }")
        extract(wrong)
        assert rows_of(wrong, OS) == [(0,)]
        right = home_at(tmp_path, server.url, now=NOW + timedelta(minutes=5))
        (result,) = extract(right)
        assert result.changed == 194
        assert rows_of(right, OS)[0][0] > 150
        (again,) = extract(home_at(tmp_path, server.url, now=NOW + timedelta(minutes=10)))
        assert (again.windows, again.changed) == (1, 0)


@pytest.mark.slow
def test_a_pass_under_a_clock_that_ran_ahead_proves_nothing(tmp_path: Path) -> None:
    with fixture_day().serving() as server:
        ahead = home_at(tmp_path, server.url, now=NOW + timedelta(days=400))
        extract(ahead)
        (result,) = extract(home_at(tmp_path, server.url, now=NOW))
        assert result.error is None
        assert result.watermark is not None
        assert result.watermark <= NOW
        (next_day,) = extract(home_at(tmp_path, server.url, now=NOW + timedelta(days=1)))
        assert next_day.watermark == NOW + timedelta(days=1) - ledger.MATOMO_LAG


def with_two_sources(home: Home, second_url: str) -> Home:
    first = home.loaded.settings.sources[0]
    second = first.model_copy(update={"name": "others", "url": second_url})
    settings = home.loaded.settings.model_copy(update={"sources": (first, second)})
    environ = {"MATOKIT_INSTALLERS_TOKEN": TOKEN, "MATOKIT_OTHERS_TOKEN": TOKEN}
    return replace(home, loaded=replace(home.loaded, settings=settings, environ=environ))


def test_a_site_that_moved_stops_no_other_source(tmp_path: Path) -> None:
    with fixture_day().serving() as server, fixture_day().serving() as other:
        home = home_at(tmp_path, server.url, now=FixedClock(NOW))
        extract(home)
        server.site = server.site | {"timezone": "America/New_York"}
        moved, fine = extract(with_two_sources(home, other.url))
    assert isinstance(moved.error, SettingsError)
    assert "America/New_York" in str(moved.error)
    assert (fine.error, fine.landed) == (None, 194)


@pytest.mark.parametrize(("name", "zone"), [("UTC+1", "Etc/GMT-1"), ("UTC-11", "Etc/GMT+11"), ("UTC+5.5", None)])
def test_a_site_with_a_manual_offset_is_read_where_it_can_be(tmp_path: Path, name: str, zone: str | None) -> None:
    with fixture_day().serving() as server:
        server.site = server.site | {"timezone": name}
        home = home_at(tmp_path, server.url, now=NOW)
        client = matomo_client_for(home.loaded, home.loaded.settings.sources[0], home.clock)
        if zone:
            assert client.site().zone.key == zone
        else:
            with pytest.raises(AnswerNotUnderstood, match="Source installers"):
                client.site()
        client.close()
