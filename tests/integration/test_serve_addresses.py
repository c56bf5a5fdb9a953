"""`serve` answers at the address that it prints, whatever it listens on.

Not here: which names are taken (unit/test_serving_gate.py).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from matokit_pipelines.cli.up import tool_server
from matokit_pipelines.settings import load
from tests.serving import ENVIRON

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("host", ["::1", "0:0:0:0:0:0:0:1", "127.0.0.2", "0.0.0.0"])
def test_the_printed_address_answers(host: str, tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_", "OPAL_", "PORT"))}
    environ |= ENVIRON | {"PYTHONPATH": str(ROOT), "MATOKIT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", "serve", "--host", host, "--port", "0"]
    said = subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert said.stdout is not None
        line = said.stdout.readline()
        found = re.search(r"(http://\S+)/discovery", line)
        assert found, line
        assert httpx.get(f"{found[1]}/discovery", timeout=10).status_code == 200
        strange = {"host": "0.0.0.0" if host != "0.0.0.0" else "0.0.0.0:80"}
        assert httpx.get(f"{found[1]}/discovery", headers=strange, timeout=10).status_code == 421
    finally:
        said.send_signal(signal.SIGTERM)
        said.wait(20)


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")])
def test_up_names_an_address_that_answers(host: str, told: str) -> None:
    [child] = tool_server((host, 4000))
    assert child.ready == f"The tool server is at http://{told}:4000"


@pytest.mark.parametrize("host", ["[::1]", "[::1]:4000", "[2001:db8::7]:*"])
def test_an_address_in_brackets_is_a_name_to_list(host: str, tmp_path: Path) -> None:
    file = tmp_path / "matokit.toml"
    file.write_text(f'[toolserver]\nallowed_hosts = ["{host}"]\n')
    assert load(file, {}, tmp_path).settings.toolserver.allowed_hosts == (host,)
