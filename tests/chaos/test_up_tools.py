"""`up` keeps the tool server too: it answers, comes back when it is killed, and goes when `up` goes."""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from tests.chaos.watching_up import Up, clean_environment, eventually, is_gone

pytestmark = pytest.mark.slow

TOKEN = "a-token-for-up-0123456789"
SETTINGS = """
[[sources]]
name = "installers"
kind = "matomo"
url = "http://127.0.0.1:9"
site_id = "1"

[toolserver]
port = 0
"""


def test_the_tool_server_is_kept_running(tmp_path: Path) -> None:
    (tmp_path / "matokit.toml").write_text(SETTINGS)
    environ = clean_environment(MATOKIT_TOOLSERVER_TOKEN=TOKEN, MATOKIT_INSTALLERS_TOKEN="0" * 32)
    up = Up(tmp_path, environ)
    try:
        eventually(lambda: up.said("The tool server is at"), 120, "the tool server was not started")
        address = next(m[1] for _, line in up.lines if (m := re.search(r"tool server is at (\S+)", line)))
        assert urllib.request.urlopen(f"{address}/healthz", timeout=10).status == 200
        first = _server(up)
        os.kill(first, signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: up.said("The tool server was ended by SIGKILL", killed), 30, "nobody saw it end")
        eventually(lambda: up.said("The tool server is at", killed), 60, "it did not come back")
        assert urllib.request.urlopen(f"{address}/healthz", timeout=10).status == 200
        last = _server(up)
        assert last != first
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 0
        eventually(lambda: is_gone(last), 10, "it was left behind")
        assert not any(TOKEN in file.read_text(errors="replace") for file in (tmp_path / ".matokit/logs").iterdir())
    finally:
        up.close()


def test_without_a_token_it_is_left_out_and_said_so(tmp_path: Path) -> None:
    (tmp_path / "matokit.toml").write_text(SETTINGS)
    up = Up(tmp_path, clean_environment(MATOKIT_INSTALLERS_TOKEN="0" * 32))
    try:
        eventually(lambda: up.said("The tool server is left out: it has no token"), 60, "nothing was said")
        up.process.send_signal(signal.SIGTERM)
        up.process.wait(60)
    finally:
        up.close()


def test_a_placeholder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "matokit.toml").write_text(SETTINGS)
    up = Up(tmp_path, clean_environment(MATOKIT_INSTALLERS_TOKEN="0" * 32, OPAL_BEARER_TOKEN="change-me"))
    try:
        assert up.process.wait(60) == 2
        assert up.said("OPAL_BEARER_TOKEN is a placeholder")
    finally:
        up.close()


def _server(up: Up) -> int:
    found = [p.pid for p in up.family() if "cli.main serve" in p.command and "cli.keeper" not in p.command]
    assert len(found) == 1
    return found[0]
