"""A disk that is full at any size: one sentence, exit code 3, and the same command ends well once there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from matokit_pipelines.errors import REFUSED
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.snapshots import open_current
from tests.simulated import home_of, landed, simulator, small_truth, stored

pytestmark = pytest.mark.slow

TRUTH = small_truth()
# No file may grow beyond a limit, as on a disk that is full; the signal for it is not taken, so writing fails instead.
REFRESH = """
import resource, signal, sys
from datetime import datetime
from pathlib import Path
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.settings import load
from matokit_pipelines.warehouse import refresh
home = refresh.Home.of(load(cwd=Path(sys.argv[1])), FixedClock(datetime.fromisoformat(sys.argv[2])))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    refresh.extract(home)
    refresh.build_and_publish(home)
except MatokitError as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
"""


OFTEN = [13_000, 600_000]
RARELY = [0, 100, 5_000, 100_000, 1_200_000, 2_500_000, 5_000_000]


@pytest.mark.parametrize("limit", [*OFTEN, *(pytest.param(size, marks=pytest.mark.slow) for size in RARELY)])
@pytest.mark.parametrize("again", [False, True], ids=["new home", "published home"])
def test_disk_that_is_full_is_told_and_loses_nothing(tmp_path: Path, limit: int, again: bool) -> None:
    with simulator(TRUTH) as server:
        home = home_of(tmp_path, server, TRUTH)
        if again:
            home_then = home_of(tmp_path, server, TRUTH, now=TRUTH.start + (TRUTH.end - TRUTH.start) / 2)
            refresh.extract(home_then)
            refresh.build_and_publish(home_then)
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MATOKIT_INSTALLERS_TOKEN": server.token}
        command = [sys.executable, "-c", REFRESH, str(tmp_path), TRUTH.end.isoformat(), str(limit)]
        child = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
        if child.returncode:
            assert child.returncode == REFUSED, child.stderr
            assert child.stderr.startswith("DiskFull: "), child.stderr
            assert child.stderr.count("\n") == 1, child.stderr
        if again:
            with open_current(home.loaded.home) as snapshot:
                assert snapshot.query("select sum(events)::bigint as n from success_rate_daily")["n"].item() > 0
        [result] = refresh.extract(home)
        refresh.build_and_publish(home)
    assert result.error is None
    assert landed(home) == stored(TRUTH.events)
    with open_current(home.loaded.home) as snapshot:
        assert snapshot.query("select sum(events)::bigint as n from success_rate_daily")["n"].item() > 0
