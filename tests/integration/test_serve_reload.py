"""`serve --reload` starts anew when the settings change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.serving import ENVIRON, TOKEN

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_it_starts_anew_when_the_settings_change(tmp_path: Path) -> None:
    settings, said = tmp_path / "matokit.toml", tmp_path / "said"
    settings.write_text("[toolserver]\ntracking = false\n")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_", "OPAL_", "PORT"))}
    environ |= ENVIRON | {"PYTHONPATH": str(ROOT), "MATOKIT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", "serve", "--reload", "--port", "0"]
    with said.open("w") as out:
        running = subprocess.Popen(
            command, cwd=tmp_path, env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        eventually(lambda: "Pages" in said.read_text())
        address = said.read_text().split("Pages")[1].split()[0]

        def tools() -> int:
            try:
                return len(httpx.get(f"{address}discovery", timeout=5).json()["functions"])
            except httpx.HTTPError:
                return 0

        eventually(lambda: tools() == 27)
        settings.write_text("[toolserver]\nport = 'none'\n")
        eventually(lambda: "matokit.toml: toolserver.port" in said.read_text())
        time.sleep(1)  # what else it would say comes at once
        assert "Traceback" not in said.read_text()
        assert said.read_text().count("toolserver.port") == 1
        settings.write_text("[toolserver]\ntracking = true\n")
        eventually(lambda: tools() == 30)
        assert TOKEN not in said.read_text()
        running.send_signal(signal.SIGINT)
        running.wait(30)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
