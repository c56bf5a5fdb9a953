"""The walk through docs/piwik-pro.md, followed literally against the command that simulates an account.

Belongs here: doing what the document's console blocks say, and holding its sample lines against what is printed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from matokit_pipelines.cli import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "piwik-pro.md"
BLOCKS = re.findall(r"^```(console|text)\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
SIMULATE = "simulate piwik-pro --port 0 --days 12 --events-per-day 60 --minutes 5"


@pytest.fixture
def account() -> Iterator[dict[str, str]]:
    """What the simulated account prints for the variables of the first block."""
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", *SIMULATE.split()]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MATOKIT_")}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = ""
        for line in server.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        try:
            found = dict(re.findall(r"export (\w+)=(\S+)", said))
            address = re.search(r"--url (\S+) --site (\S+)", said)
            assert address, said
            yield found | {"ACCOUNT": address[1], "SITE": address[2]}
        finally:
            server.terminate()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Reader:
    """Someone who does what stands there, with the four values of the account at hand."""

    def __init__(self, account: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = account
        self.monkeypatch = monkeypatch
        self.done: list[str] = []

    def follow(self, line: str) -> None:
        for command in line.split(" && "):
            words = [os.path.expandvars(word) for word in shlex.split(command)]
            self.done.append(" ".join(words[:2]))
            getattr(self, words[0])(*words[1:])

    def export(self, assignment: str) -> None:
        name, _, shown = assignment.partition("=")
        assert shown, assignment
        self.monkeypatch.setenv(name, self.account[name])

    def mkdir(self, option: str, name: str) -> None:
        assert option == "-p"
        Path(name).mkdir(parents=True)

    def cd(self, name: str) -> None:
        self.monkeypatch.chdir(name)

    def curl(self, option: str, url: str) -> None:
        assert option == "-s"
        request = urllib.request.Request(url, headers={"User-Agent": "curl/8.7.1"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 202

    def matokit(self, *words: str) -> None:
        assert main.run(list(words)) == 0, words


def shape_of(line: str) -> str:
    """A pattern for a sample line: figures, times and spans of time are those of the day."""
    pattern = re.escape(line)
    pattern = re.sub(r"(\d+)\\ (min|h|days)\\ ago", r"\\d+ (min|h|days) ago", pattern)
    pattern = re.sub(r"^all\\ 12", r"(all|\\d+\\ of)\\ 12", pattern)
    return re.sub(r"\d[\d,]*(?:\\\.\d+)?(?![\w}])", r"[\\d,.]+", pattern)


@pytest.mark.slow
def test_the_walk_through_an_account(
    folder: Path,
    account: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    reader = Reader(account, monkeypatch)
    printed = ""
    for kind, text in BLOCKS:
        if kind == "console":
            for line in text.splitlines():
                assert line.startswith("$ "), line
                reader.follow(line.removeprefix("$ "))
            printed, errors = capfd.readouterr()
            assert errors == ""
            assert account["MATOKIT_INSTALLERS_CLIENT_SECRET"] not in printed
            continue
        for line in text.splitlines():
            assert any(re.fullmatch(shape_of(line), said.rstrip()) for said in printed.splitlines()), (line, printed)
    assert [word for word in reader.done if word.startswith("matokit")] == [
        "matokit try", "matokit init", "matokit doctor", "matokit run", "matokit status", "matokit doctor",
    ]  # fmt: skip
    assert (folder / "installers" / ".matokit" / "reports" / "weekly").is_dir()


def test_what_the_document_says_of_figures_is_what_the_code_does() -> None:
    from datetime import timedelta

    from matokit_pipelines.cli.losses import INITIAL_EVENTS, INITIAL_SECONDS
    from matokit_pipelines.settings import HttpSettings
    from matokit_pipelines.sources.piwik_pro import LONGEST_LOOKBACK, RATE_LIMIT
    from matokit_pipelines.warehouse.ledger import GIVE_UP_AFTER, GIVE_UP_AFTER_READS
    from matokit_pipelines.warehouse.passes import DEFAULT_HISTORY_DAYS
    from matokit_pipelines.warehouse.piwik_pro_planning import LAG, LOOK_BACK_DAYS, RECENT
    from matokit_pipelines.warehouse.planning import NIGHTLY_HOUR, RECONCILED_DAYS

    text = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    for said, value, is_so in (
        ("**2.5 hours.**", LAG, timedelta(hours=2.5)),
        ("the newest six hours", RECENT, timedelta(hours=6)),
        ("the counts of the last three days", LOOK_BACK_DAYS, 3),
        ("each night after 03:00", NIGHTLY_HOUR, 3),
        ("the last seven closed days", RECONCILED_DAYS, 7),
        ("After five readings or six hours", (GIVE_UP_AFTER_READS, GIVE_UP_AFTER), (5, timedelta(hours=6))),
        ("60 requests a minute (600 for GET)", (RATE_LIMIT.others_per_minute, RATE_LIMIT.reads_per_minute), (60, 600)),
        ("`http.requests` (1,000)", HttpSettings().requests, 1_000),
        ("(90 days back, if you name none)", DEFAULT_HISTORY_DAYS, 90),
        ("(`--minutes` up to 300)", LONGEST_LOOKBACK, 300),
        ("after 5,000 events or 12 h", (INITIAL_EVENTS, INITIAL_SECONDS), (5_000, 12 * 3_600)),
    ):
        assert said in text, said
        assert value == is_so, said
