"""The demo, small: everything that was sent is found, and a folder that is not its own is left alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from matokit_pipelines.cli import main


@pytest.mark.slow
def test_the_demo_finds_everything_and_can_be_asked_afterwards(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.chdir(tmp_path)
    code = main.run(["demo", "--days", "40", "--no-open"])
    out, err = capfd.readouterr()
    assert (code, err) == (0, ""), out
    for source in ("installers (Piwik PRO)", "lab (Matomo)"):
        [line] = [line for line in out.splitlines() if f"events of {source}" in line]
        found, of = re.findall(r"[\d,]+(?= of|\s+events)", line)
        assert found == of != "0"
        assert line.endswith("each once, exact to the second")
    assert "1 kill" in out
    assert "wrong count" in out
    days, compared = re.findall(r"same events as lab on (\d+) of (\d+) days compared", out)[0]
    assert days == compared
    assert int(days) >= 39
    assert "8 of 8 planted incidents" in out
    pages = list((tmp_path / ".matokit-demo" / "reports" / "weekly").glob("*.html"))
    assert len(pages) == 1
    assert main.run(["--config", ".matokit-demo/matokit.toml", "status"]) == 0
    out = capfd.readouterr().out
    assert "Snapshot" in out
    assert "lab_copy: a mirror of lab" in out
    assert main.run(["demo", "--days", "3", "--events-per-day", "20", "--no-open"]) == 0
    assert "could be chance" in capfd.readouterr().out  # a change in a few events is not claimed as found
