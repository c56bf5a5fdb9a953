"""Dagster's settings are put into the home once, left alone when changed there, and doctor says when they differ."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import yaml

from matokit_pipelines import resources
from matokit_pipelines.cli.checkup import check_up
from matokit_pipelines.cli.findings import Finding
from tests.replay import home_at

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


def findings(folder: Path) -> list[Finding]:
    home = home_at(folder, "http://127.0.0.1:9", now=NOW, settings="[http]\nattempts = 1")
    return [finding for finding in check_up(home) if finding.what == "dagster"]


def test_doctor_says_whether_the_settings_in_use_are_those_delivered(tmp_path: Path) -> None:
    home = home_at(tmp_path, "http://127.0.0.1:9", now=NOW).loaded.home
    assert findings(tmp_path) == []
    assert resources.put_dagster_settings(home).startswith("Dagster's settings are in ")
    assert [finding.state for finding in findings(tmp_path)] == ["good"]
    used = resources.dagster_home(home) / "dagster.yaml"
    used.write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    assert "left as they are" in resources.put_dagster_settings(home)
    [finding] = findings(tmp_path)
    assert finding.state == "note"
    assert finding.sentence.startswith(f"dagster.yaml in {resources.dagster_home(home)} differ")
    assert used.read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


def test_every_section_delivered_is_explained_and_guards_what_it_must() -> None:
    text = resources.path("dagster.yaml").read_text(encoding="utf-8")
    given = yaml.safe_load(text)
    assert given["telemetry"] == {"enabled": False}
    assert given["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}
    assert given["run_monitoring"]["enabled"]
    assert 0 < given["run_monitoring"]["free_slots_after_run_end_seconds"] <= 60
    assert given["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    for section in given:
        lines = text.splitlines()
        at = lines.index(f"{section}:")
        body = [line for line in lines[at + 1 : at + 12] if line.startswith("  ")]
        assert lines[at - 1].startswith("#") or any("#" in line for line in body), section
