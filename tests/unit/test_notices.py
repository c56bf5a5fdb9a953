"""Notices to the operators: written once a key, newest first, closed when they are over, shown by status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.cli.status_words import notices
from matokit_pipelines.delivery.files import close_notices, open_notices, put_away, write_notice

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


def test_a_key_is_written_once_also_when_its_notice_is_over(tmp_path: Path) -> None:
    assert write_notice(tmp_path, "stale-2026-11-18", "The data are old", "Nothing since 06:00.", NOW)
    assert not write_notice(tmp_path, "stale-2026-11-18", "again", "again", NOW)
    [notice] = open_notices(tmp_path)
    assert (notice.subject, notice.text, notice.at) == ("The data are old", "Nothing since 06:00.", NOW)
    assert close_notices(tmp_path, "stale-") == 1
    assert open_notices(tmp_path) == []
    assert not write_notice(tmp_path, "stale-2026-11-18", "again", "again", NOW)
    assert close_notices(tmp_path, "stale-") == 0


def test_only_notices_of_the_prefix_are_closed_and_odd_files_are_passed_over(tmp_path: Path) -> None:
    write_notice(tmp_path, "failed-refresh-1", "a", "b", NOW)
    write_notice(tmp_path, "failed-weekly_report-1", "a", "b", NOW + timedelta(hours=1))
    (tmp_path / "notices" / "odd.json").write_text("[", encoding="utf-8")
    assert [notice.key for notice in open_notices(tmp_path)] == ["failed-weekly_report-1", "failed-refresh-1"]
    assert close_notices(tmp_path, "failed-refresh-") == 1
    assert [notice.key for notice in open_notices(tmp_path)] == ["failed-weekly_report-1"]


def test_closed_notices_are_put_away_when_they_are_old(tmp_path: Path) -> None:
    for number in range(3):
        write_notice(tmp_path, f"failed-refresh-{number}", "failed", "a", NOW + timedelta(days=number))
    close_notices(tmp_path, "failed-refresh-0")
    close_notices(tmp_path, "failed-refresh-1")
    assert put_away(tmp_path, NOW + timedelta(days=1)) == 1
    assert [file.stem for file in (tmp_path / "notices" / "closed").iterdir()] == ["failed-refresh-1"]
    assert [notice.key for notice in open_notices(tmp_path)] == ["failed-refresh-2"]


@given(
    st.text(max_size=20).filter(lambda key: not key.isascii() or not key.replace("-", "").replace("_", "").isalnum())
)
def test_a_key_that_could_leave_the_folder_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="cannot name a notice"):
        write_notice(Path("/nowhere"), key, "a", "b", NOW)


def test_status_shows_the_newest_and_counts_the_others(tmp_path: Path) -> None:
    for number in range(5):
        write_notice(
            tmp_path, f"failed-refresh-{number}", "failed", f"Number {number}.", NOW + timedelta(minutes=number)
        )
    lines = list(notices(open_notices(tmp_path), NOW))
    assert [line.rpartition(": ")[2] for line in lines[:3]] == ["Number 4.", "Number 3.", "Number 2."]
    assert lines[3].startswith("  2 older notices and these lie in notices/")
    assert list(notices([], NOW)) == []
