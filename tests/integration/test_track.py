"""`matokit track`: what it sends arrives at both kinds of service, is read as it was meant, and refusals are told."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from matokit_pipelines.cli import main
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.simulator import Faults, MatomoSimulator, PiwikProSimulator, generate
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests.answering import Asked, Told, answering
from tests.replay import rows_of

COMMIT = "abcdef1"
SOURCE = """[[sources]]
name = "{name}"
kind = "{kind}"
url = "{url}"
site_id = "{site}"
start_date = {start}
{more}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def history() -> pl.DataFrame:
    return generate(days=3, events_per_day=5, seed=2, end=datetime.now(UTC), incidents=False, eras=False).events


@pytest.fixture
def lab(history: pl.DataFrame) -> Iterator[MatomoSimulator]:
    with MatomoSimulator(history, now=lambda: datetime.now(UTC)) as running:
        yield running


def source(folder: Path, name: str, kind: str, url: str, site: str, more: str = "") -> None:
    start = (datetime.now(UTC) - timedelta(days=2)).date()
    with (folder / "matokit.toml").open("a", encoding="utf-8") as file:
        file.write(SOURCE.format(name=name, kind=kind, url=url, site=site, start=start, more=more))


def matokit(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main.run(list(words))
    out, err = capfd.readouterr()
    return code, out, err


def read(folder: Path, environ: dict[str, str], later: timedelta) -> Home:
    """The home, read and derived by a clock that is ahead."""
    home = Home.of(load(environ=environ, cwd=folder), FixedClock(datetime.now(UTC) + later))
    extract(home)
    build_and_publish(home)
    return home


EVENTS = """
select outcome, error_type, confidence, count(*), count(distinct machine_key) from staging.installer_events
where commit_sha = ? and environment = 'production' and component = 'python_install' and counted
group by all order by all
"""


def test_an_incident_sent_to_a_matomo_is_read_as_it_was_meant(
    folder: Path, lab: MatomoSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    source(folder, "lab", "matomo", lab.url, "1")
    told = ("track", "--name", "python_install", "--commit", COMMIT, "--os", "macOS 15.1", "--architecture", "arm64")
    code, out, err = matokit(capfd, *told, "--outcome", "failure", "--count", "120", "--machines", "30", "--over", "20")
    assert (code, err) == (0, "")
    assert out.startswith(f"Sent 120 events of 30 machines to lab ({lab.url}): category Installer, ")
    assert "known to be complete after 10 minutes" in out
    assert matokit(capfd, *told, "--outcome", "success", "--duration", "12")[0] == 0
    home = read(folder, {"MATOKIT_LAB_TOKEN": lab.token}, timedelta(minutes=20))
    assert rows_of(home, EVENTS, COMMIT) == [
        ("failure", "unknown", "certain", 120, 30),
        ("success", None, "certain", 1, 1),
    ]
    [(first, last, systems)] = rows_of(
        home, "select min(event_ts), max(event_ts), list(distinct (os_release, architecture)) "
        "from staging.installer_events where outcome = 'failure' and commit_sha = ?", COMMIT
    )  # fmt: skip
    assert timedelta(minutes=19, seconds=50) < last - first <= timedelta(minutes=20, seconds=1)
    assert [tuple(system.values()) if isinstance(system, dict) else system for system in systems] == [
        ("macOS 15.1", "arm64")
    ]


def test_an_incident_sent_to_a_piwik_pro_is_there_once_its_sessions_are_processed(
    folder: Path, history: pl.DataFrame, capfd: pytest.CaptureFixture[str]
) -> None:
    ahead = timedelta()
    with PiwikProSimulator(history, now=lambda: datetime.now(UTC) + ahead) as installers:
        source(folder, "installers", "piwik_pro", installers.url, installers.site_id)
        words = ("--component", "python_install", "--commit", COMMIT, "--count", "7", "--machines", "3", "--json")
        code, out, err = matokit(capfd, "track", *words, "--outcome", "failure", "--error", "network")
        assert (code, err) == (0, "")
        [row] = json.loads(out)
        assert (row["source"], row["events"], row["machines"], row["requests"]) == ("installers", 7, 3, 1)
        assert (row["name"], row["value"]) == ("python_install_network_error", 0)
        secrets = {
            "MATOKIT_INSTALLERS_CLIENT_ID": installers.client_id,
            "MATOKIT_INSTALLERS_CLIENT_SECRET": installers.client_secret,
        }
        ahead = timedelta(hours=5)
        home = read(folder, secrets, ahead)
    assert rows_of(home, EVENTS, COMMIT) == [("failure", "network", "certain", 7, 3)]


def test_each_request_is_sent_once_and_says_by_dimension_what_the_settings_name(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: Asked) -> Told:
        return Told(body={"status": "success", "tracked": len(asked.json["requests"]), "invalid": 0})

    with answering(answer) as server:
        more = "dimensions = { os = 4, commit = 9, contract = 6, error_type = 7 }"
        source(folder, "lab", "matomo", server.url, "3", more)
        words = (
            "--name",
            "r_install",
            "--outcome",
            "failure",
            "--error",
            "disk",
            "--commit",
            COMMIT,
            "--os",
            "macOS 15",
        )
        assert matokit(capfd, "track", *words, "--count", "101", "--machines", "2")[0] == 0
    assert [len(asked.json["requests"]) for asked in server.asked] == [50, 50, 1]
    sent = [
        dict(pair.split("=", 1) for pair in one[1:].split("&"))
        for asked in server.asked
        for one in asked.json["requests"]
    ]
    visitors = Counter(one.pop("cid") for one in sent)
    assert sorted(visitors.values()) == [50, 51]
    assert all(len(visitor) == 16 for visitor in visitors)
    assert len({one.pop("cdt") for one in sent}) == 1
    assert {tuple(sorted(one.items())) for one in sent} == {
        (("dimension4", "macOS+15"), ("dimension6", "1"), ("dimension7", "disk"), ("dimension9", COMMIT),
         ("e_a", "Event"), ("e_c", "Installer"), ("e_n", "r_install"), ("e_v", "0"), ("idsite", "3"), ("rec", "1"))
    }  # fmt: skip


def test_what_was_not_taken_is_told_and_never_sent_again(
    folder: Path, capfd: pytest.CaptureFixture[str], history: pl.DataFrame
) -> None:
    words = ("track", "--name", "x", "--value", "0", "--count", "60")
    with MatomoSimulator(history, now=lambda: datetime.now(UTC), faults=Faults(recording_off=True)) as off:
        source(folder, "lab", "matomo", off.url, "1")
        code, _, err = matokit(capfd, *words)
    assert code == 3
    assert err.startswith("Only 0 of 50 events were taken by the tracker of source lab")
    assert err.strip().endswith("tracking is switched on there; 0 of 60 events were accepted before.")
    code, _, err = matokit(capfd, *words)  # nobody listens any more
    assert code == 3
    assert "nothing listens there" in err
    assert err.count("\n") == 1

    with answering(lambda asked: Told(status=503)) as server:
        (folder / "matokit.toml").unlink()
        source(folder, "lab", "piwik_pro", server.url, "00000000-0000-4000-8000-000000000000")
        code, _, err = matokit(capfd, *words)
    assert code == 3
    assert "whether the next 50 were is not known" in err
    assert len(server.asked) == 1

    with answering(lambda asked: Told(status=404)) as server:
        (folder / "matokit.toml").unlink()
        source(folder, "lab", "matomo", server.url, "1")
        assert matokit(capfd, *words)[2].startswith("There is no matomo.php at")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--name", "x"], "Give either --outcome success"),
        (["--name", "x", "--outcome", "success", "--value", "1"], "Give either --outcome success"),
        (["--name", "x", "--outcome", "broken"], "neither success nor failure"),
        (["--name", "x", "--outcome", "failure", "--error", "rust"], "give one of permission, network"),
        (["--name", "x", "--value", "1", "--machines", "2"], "2 machines cannot send 1 event"),
        (["--name", " ", "--value", "1"], "need 1 to 4,096 characters"),
        (["--name", "x", "--value", "1", "--source", "none"], 'There is no source "none"'),
        (["--name", "x", "--value", "1"], "Several sources count; name one with --source: lab, other."),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_code_2(
    folder: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    source(folder, "lab", "matomo", "http://127.0.0.1:9", "1")
    if said.startswith("Several"):
        source(folder, "other", "matomo", "http://127.0.0.1:9", "2")
    code, out, err = matokit(capfd, "track", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
