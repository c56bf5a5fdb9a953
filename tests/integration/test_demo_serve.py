"""`matokit demo --serve`: the lines it prints work as printed, the pages open, and Ctrl-C ends it in order."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from matokit_pipelines.cli.demo_serve import QUESTIONS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SECONDS = 420


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running demo and what it printed up to its last line."""
    folder = tmp_path_factory.mktemp("demo")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_", "OPAL_", "PORT"))}
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", "demo", "--serve", "--no-open", "--home", "demo"]
    output = folder / "output"
    with output.open("w") as out:
        running = subprocess.Popen(
            command, cwd=folder, env={**environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}, stdout=out,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + SECONDS
        while QUESTIONS[-1].endpoint not in output.read_text():
            assert running.poll() is None, output.read_text()[-2000:]
            assert time.monotonic() < end, output.read_text()[-2000:]
            time.sleep(0.5)
        yield running, output.read_text()
    finally:
        running.kill()
        running.wait(20)


def test_the_lines_work_as_printed_and_answer_the_five_questions(demo: tuple[subprocess.Popen[str], str]) -> None:
    _, said = demo
    script = said[said.index("TOKEN=") :].splitlines()
    answers = []
    for line in script[1:]:
        if line.startswith("curl"):
            ran = subprocess.run(
                ["bash", "-c", f"{script[0]}\n{line}"], capture_output=True, text=True, check=True, timeout=60
            )
            answers.append(json.loads(ran.stdout))
    healthy, broke, pages, paged, complete = answers
    assert healthy["summary"].startswith("The installer is ")
    assert re.search(r"\b[0-9a-f]{7}\b", broke["summary"]), broke["summary"]
    assert pages[0]["nb_visits"] >= pages[1]["nb_visits"] > 0
    assert pages[0]["previous"]["nb_hits"] > 0
    assert "because of this" in paged["summary"]
    assert complete["summary"].startswith("Yes: the data are complete")
    assert complete["web_reports"]


def test_the_scoreboard_tells_of_the_web_site(demo: tuple[subprocess.Popen[str], str]) -> None:
    found = re.search(r"Web +(\d+) of (\d+) closed days", demo[1])
    assert found is not None
    assert found[1] == found[2]
    assert int(found[2]) > 50


def test_the_pages_open_with_the_token(demo: tuple[subprocess.Popen[str], str]) -> None:
    found = re.search(r"Pages +(\S+) with the token (\w+)", demo[1])
    assert found is not None
    with httpx.Client(base_url=found[1], follow_redirects=True) as browser:
        assert "Log in" in browser.get("/", headers={"accept": "text/html"}).text
        page = browser.post("/login", data={"token": found[2], "next": "/dashboards/installation_health.html"})
        assert page.status_code == 200
        assert "Installation Health" in page.text


def test_ctrl_c_ends_it_in_order(demo: tuple[subprocess.Popen[str], str]) -> None:
    running, _ = demo
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
