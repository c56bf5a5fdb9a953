"""A home of every earlier state of the tables still opens, migrates, and says the same."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from matokit_pipelines import __version__, state
from matokit_pipelines.alerts.passes import run_pass
from matokit_pipelines.cli import main
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import FINE, REFUSED, USAGE
from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.warehouse.refresh import build_and_publish
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import last_complete_week
from tests.homes import HOMES, NOW, facts, open_home

PACKED = sorted(HOMES.glob("*.tar.gz"))
OLDER = [pytest.param(path, marks=pytest.mark.slow) for path in PACKED[:-1]]


def test_there_is_a_home_of_this_version_and_each_is_small() -> None:
    assert PACKED
    assert all(home.stat().st_size <= 1 << 20 for home in PACKED)


@pytest.mark.parametrize("packed", [*OLDER, PACKED[-1]], ids=lambda path: path.name)
def test_an_old_home_is_read_migrated_and_says_the_same(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    known = json.loads(packed.with_name(packed.name.replace(".tar.gz", ".json")).read_text(encoding="utf-8"))
    with open_current(tmp_path) as snapshot:
        assert snapshot.manifest.generation == 1
    home = open_home(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MATOKIT_HOME", str(tmp_path))
    if not packed.name.startswith(__version__):
        assert main.run(["query", "from no_such_table"]) == USAGE
        assert "`matokit build` makes one of" in capsys.readouterr().err
        lacks = packed.name < "0.5"  # the tables of the monthly report came with 0.5.0
        assert main.run(["report", "monthly"]) == (REFUSED if lacks else FINE)
        assert ("`matokit build` makes one of" in capsys.readouterr().err) == lacks
    build_and_publish(home)
    assert json.loads(json.dumps(facts(home))) == known
    again = build_and_publish(home, full=True)
    assert json.loads(json.dumps(facts(home))) == known
    assert again.manifest
    later = replace(home, clock=FixedClock(NOW + timedelta(hours=1)))
    report = run_pass(later)  # alerts begin, or go on where they were
    assert report.evaluated_to is not None
    with state.opened(tmp_path) as connection:
        assert connection.execute("select count(*) from evaluations").fetchone()[0] > 0
    with open_current(tmp_path) as snapshot:
        monday = last_complete_week(NOW, home.loaded.settings.project.zone)
        assert write_weekly(snapshot, monday, NOW, tmp_path / "reports").html.is_file()
