"""The command line against a simulated Piwik PRO: what a person types, sees, and gets as exit code."""

from __future__ import annotations

import json
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from matokit_pipelines import settings
from matokit_pipelines.cli import main
from matokit_pipelines.cli.checkup import check_up
from matokit_pipelines.clock import FixedClock, SystemClock
from matokit_pipelines.simulator import OTHER_SLOTS, Assumptions, Dimension, PiwikProFaults, Truth, generate
from matokit_pipelines.simulator.piwik_pro_answers import management_refusal
from matokit_pipelines.simulator.piwik_pro_server import PiwikProSimulator
from matokit_pipelines.simulator.wire import Answer, Request
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.windows import Window
from tests.rights import without_rights

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC)
UUID = "00000000-0000-4000-8000-000000000000"
OTHER_UUID = "99999999-2222-4333-8444-555555555555"
PERSONAL = re.compile(r"ipv4|location|user_id|cookie")


@pytest.fixture(scope="module")
def truth() -> Truth:
    return generate(days=9, events_per_day=60, seed=5, end=NOW)


@pytest.fixture(scope="module")
def server(truth: Truth) -> Iterator[PiwikProSimulator]:
    with simulated(truth) as running:
        yield running


@contextmanager
def simulated(events: Truth | pl.DataFrame, **more: Any) -> Iterator[PiwikProSimulator]:
    with PiwikProSimulator(events, now=lambda: datetime.now(UTC), **more) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: PiwikProSimulator) -> Path:
    """An empty current folder, with credentials for three sources and nothing else of ours in the environment."""
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    for source in ("INSTALLERS", "SECOND", "COPY"):
        monkeypatch.setenv(f"MATOKIT_{source}_CLIENT_ID", server.client_id)
        monkeypatch.setenv(f"MATOKIT_{source}_CLIENT_SECRET", server.client_secret)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def matokit(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """`(exit code, stdout, stderr)` of one command."""
    code = main.run(list(words))
    out, err = capfd.readouterr()
    return code, out, err


def trying(capfd: pytest.CaptureFixture[str], server: PiwikProSimulator, *words: str) -> tuple[int, str, str]:
    return matokit(capfd, "try", "--kind", "piwik_pro", "--url", server.url, "--site", server.site_id, *words)


def source_of(server: PiwikProSimulator, name: str = "installers", more: str = "") -> str:
    start = (NOW - timedelta(days=10)).date()
    return (
        f'[[sources]]\nname = "{name}"\nkind = "piwik_pro"\nurl = "{server.url}"\nsite_id = "{server.site_id}"\n'
        f"start_date = {start}\n{more}\n"
    )


def set_up(folder: Path, *sources: str) -> None:
    text = '[project]\ntimezone = "Europe/Copenhagen"\n' + "".join(sources)
    (folder / "matokit.toml").write_text(text, encoding="utf-8")


def send(server: PiwikProSimulator, *, agent: str = "curl/8.7.1", **params: str) -> None:
    query = urllib.parse.urlencode({"idsite": server.site_id, "rec": "1"} | params)
    request = urllib.request.Request(f"{server.url}/ppms.php?{query}", headers={"User-Agent": agent})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202


# -- init -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--site", UUID],
        ["--url", "https://example.piwik.pro"],
        ["--url", "https://example.piwik.pro", "--site", UUID],
        ["--kind", "piwik_pro"],
        ["--kind", "piwik_pro", "--url", "https://analytics.example.org"],
    ],
)
def test_init_knows_a_piwik_pro_by_its_site_or_address(
    folder: Path, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code, out, err = matokit(capfd, "init", *words)
    assert (code, err) == (0, "")
    assert ("is read as a Piwik PRO (--kind piwik_pro)" in out) == ("--kind" not in words)
    assert "MATOKIT_INSTALLERS_CLIENT_ID and MATOKIT_INSTALLERS_CLIENT_SECRET" in out
    [source] = settings.load(environ={}, cwd=folder).settings.sources
    assert (source.kind, source.site_id) == ("piwik_pro", UUID)
    assert (folder / ".env.example").read_text(encoding="utf-8").endswith(
        "MATOKIT_INSTALLERS_CLIENT_ID=\nMATOKIT_INSTALLERS_CLIENT_SECRET=\n"
    )  # fmt: skip


def test_init_without_a_word_is_for_matomo_as_ever(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = matokit(capfd, "init")
    assert code == 0
    assert "Piwik PRO" not in out
    [source] = settings.load(environ={}, cwd=folder).settings.sources
    assert (source.kind, source.url, source.site_id) == ("matomo", "https://matomo.example.org", "1")


@pytest.mark.parametrize("command", ["init", "try"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "matomo", "--url", "https://m.example.org", "--site", UUID], "but --kind says matomo"),
        (["--kind", "matomo", "--url", "https://e.piwik.pro", "--site", "1"], "but --kind says matomo"),
        (["--kind", "piwik_pro", "--url", "https://a.example.org", "--site", "1"], '"1" is no site of Piwik PRO'),
        (["--url", "https://e.piwik.pro", "--site", "7"], '"7" is no site of Piwik PRO'),
        (["--url", "https://m.example.org", "--site", "0"], '"0" is no site: Matomo numbers its sites'),
        (["--url", "https://m.example.org", "--site", "the website"], '"the website" is no site'),
        (
            ["--kind", "piwik", "--url", "https://a.example.org", "--site", "1"],
            "input should be 'piwik_pro' or 'matomo'",
        ),
        (["--url", "https://[::1", "--site", UUID], "url: must be a web address"),
        (["--url", "https://a.piwik.pro?x=1", "--site", UUID], "url: must be a web address"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence_and_nothing_is_written(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str, words: list[str], said: str
) -> None:
    code, out, err = matokit(capfd, command, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(folder.iterdir()) == []


# -- a home that cannot be used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "/deeper"])
@pytest.mark.parametrize("command", ["init", "doctor", "status", "extract", "run", "build"])
def test_a_file_in_place_of_a_home_is_said_to_be_one(
    folder: Path,
    server: PiwikProSimulator,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    inside: str,
) -> None:
    if command != "init":
        set_up(folder, source_of(server))
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    monkeypatch.setenv("MATOKIT_HOME", f"notes.txt{inside}")
    code, out, err = matokit(capfd, command)
    assert (code, out) == (2, "")
    assert f"cannot be a folder, because {folder / 'notes.txt'} is a file; name another place in MATOKIT_HOME.\n" in err
    assert err.count("\n") == 1
    assert (folder / "matokit.toml").exists() == (command != "init")
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("command", [["init"], ["doctor"], ["status"], ["explain", "--category", "Installer"]])
def test_an_env_file_that_is_no_text_is_named(
    folder: Path, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (folder / ".env").write_bytes("MATOKIT_INSTALLERS_CLIENT_SECRET=gl\xfcck\n".encode("latin-1"))
    code, _, err = matokit(capfd, *command)
    assert (code, err) == (2, "The .env beside the settings is not UTF-8 text; save it as UTF-8.\n")


def test_a_folder_that_may_not_be_written_to_is_named(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert matokit(capfd, "init", "--site", UUID)[0] == 0  # and everything is loaded, which nobody may not do
    with without_rights() as locked:
        locked.chmod(0o555)
        monkeypatch.chdir(locked)
        code, out, err = matokit(capfd, "init", "--site", UUID)
    monkeypatch.chdir(folder)
    assert (code, out) == (3, "")
    assert err == f"{locked} may not be written to; give this user the right to.\n"


# -- try --------------------------------------------------------------------------------------------------------------


def test_try_reports_on_an_account_and_keeps_nothing(
    folder: Path, server: PiwikProSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    before = server.requests.total
    code, out, err = matokit(capfd, "try", "--url", server.url, "--site", server.site_id)
    assert (code, err) == (0, "")
    made = server.requests.total - before
    assert "The site's id is one of Piwik PRO, so this is read as a Piwik PRO" in out
    assert f'Site {server.site_id} is "Installer", in Europe/Copenhagen; 7 days' in out
    found = re.search(
        r"Read in \d+ windows? with (\d+) requests \(\d+ kB\); what came is what the server announced", out
    )
    assert found
    assert int(found[1]) == made <= 20
    # in the first hours after midnight yesterday may still receive events, and is not compared
    assert re.search(r"All [56] closed days agree with the server's own daily counts\.", out), out
    assert re.search(
        r"Newest event \d{4}-\d\d-\d\d \d\d:\d\d UTC \(.* ago\); Piwik PRO shows an event once .* 2\.5 h", out
    )
    for line in (
        'dimension1 "Operating system" (event slot 1): read as os, by its name',
        'dimension2 "Architecture" (event slot 2): read as architecture, by its name',
        'dimension3 "Commit" (event slot 3): read as commit, by its name',
    ):
        assert f"  {line}\n" in out
    assert "session_limit_exceeded_action: is split_and_exclude: of one session, what comes after 5,000 events" in out
    assert "exclude_crawlers: is on" in out
    assert re.search(r"^category +name +events +component", out, re.MULTILINE)
    assert "Success in production: " in out
    assert (
        f"matokit init --kind piwik_pro --url {server.url} --site {server.site_id} --timezone Europe/Copenhagen" in out
    )
    assert list(folder.iterdir()) == []
    assert server.client_secret not in out
    for _, asked in server.requests.recent:
        assert not PERSONAL.search(json.dumps(asked))


def test_try_finds_dimensions_whose_slots_are_other_numbers(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    dimensions = (
        *OTHER_SLOTS,
        Dimension(4, 3, "Error output"),
        Dimension(5, 4, "Commit of old", active=False),
    )
    with simulated(truth, dimensions=dimensions) as server:
        code, out, _ = trying(capfd, server)
        assert code == 0
        assert (
            'dimension1 "Operating system" (session slot 1): read as os, by its name; a session keeps one value' in out
        )
        assert 'dimension2 "Architecture" (event slot 1): read as architecture' in out
        assert 'dimension4 "Error output" (event slot 3): not read\n' in out
        assert 'dimension5 "Commit of old" (event slot 4): not read; it is not active' in out
        code, out, _ = trying(capfd, server, "--dimensions", "commit=3")
        assert code == 0
        assert 'dimension3 "Commit" (event slot 2): read as commit, as told' in out
        assert "none for os and architecture: say which with --dimensions, such as os=4" in out
        assert "--dimensions commit=3" in out.splitlines()[-1]
        code, out, err = trying(capfd, server, "--dimensions", "commit=9")
        assert (code, out) == (3, "")
        assert "no active custom dimension with tracking id 9 for commit" in err


def test_try_shortens_names_and_names_each_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    long = "a_component_with_a_name_that_nobody_would_ever_want_to_read_in_a_table"
    with simulated(pl.DataFrame(schema=generate(days=3, events_per_day=1, seed=1, end=NOW).events.schema)) as server:
        happened = f"{NOW - timedelta(hours=3):%Y-%m-%d %H:%M:%S}"
        for category in ("Installer", "Installer_CI"):
            send(server, e_c=category, e_a="Event", e_n=long, e_v="0", cdt=happened)
        code, out, _ = trying(capfd, server)
    assert code == 0
    assert long not in out
    short = f"{long[:39]}…"
    assert len(re.findall(rf"^Installer(?:_CI)? +{short} ", out, re.MULTILINE)) == 2
    assert max(len(line.rstrip()) for line in out.splitlines() if line.startswith("Installer")) < 200
    [inferred] = re.findall(r"To mend: (.*): what value 0 means", out)
    assert inferred == short


def test_try_as_json_is_one_array_of_the_names(
    folder: Path, server: PiwikProSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = matokit(capfd, "try", "--url", server.url, "--site", server.site_id, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert {"category", "name", "events", "form and rule", "certain", "ambiguous", "left out"} <= set(rows[0])


def test_try_of_an_empty_site_says_what_to_look_at(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    empty = generate(days=3, events_per_day=1, seed=1, end=NOW).events.head(0)
    with simulated(empty, dimensions=()) as server:
        code, out, err = trying(capfd, server)
    assert (code, err) == (0, "")
    assert "No custom event arrived in these days" in out
    assert "doctor --why-missing" in out
    assert "none at all: add event dimensions for operating system, architecture and commit" in out
    assert "Newest event" not in out


def test_try_names_windows_that_do_not_add_up_and_ends_with_4(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    since = (NOW - timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    lying = PiwikProFaults(lying_count=((since, since + timedelta(minutes=30)),))
    with simulated(truth, faults=lying) as server:
        code, out, err = trying(capfd, server)
    assert code == 4
    assert err.count("\n") == 1
    assert "the figures are short by that" in err
    assert "1 window did not add up" in out
    assert re.search(rf"  {since:%Y-%m-%d %H:%M} to .* UTC: the server announced \d+ rows and gave \d+\.", out)
    assert "Success in production" in out


@pytest.mark.parametrize(
    ("environ", "words", "code", "said"),
    [
        ({"MATOKIT_INSTALLERS_CLIENT_SECRET": "wrong"}, [], 3, "refuses the credentials of source installers"),
        ({"MATOKIT_INSTALLERS_CLIENT_SECRET": ""}, [], 2, "MATOKIT_INSTALLERS_CLIENT_SECRET"),
        ({}, ["--site", OTHER_UUID], 3, "finds no site"),
        ({}, ["--name", "other"], 2, "MATOKIT_OTHER_CLIENT_ID"),
        ({}, ["--dimensions", "os=1,commit=1"], 2, "gives 1 two meanings"),
    ],
)
def test_try_tells_in_one_sentence_what_stands_in_its_way(
    folder: Path,
    server: PiwikProSimulator,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    found, out, err = trying(capfd, server, *words)
    assert (found, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1
    assert server.client_secret not in err


# -- doctor -----------------------------------------------------------------------------------------------------------


def findings(capfd: pytest.CaptureFixture[str]) -> tuple[int, list[tuple[str, str, str]]]:
    """The exit code, and (state, what, sentence) of each finding."""
    code, out, err = matokit(capfd, "doctor", "--json")
    assert err == ""
    return code, [(found["state"], found["what"], found["sentence"]) for found in json.loads(out)]


def test_doctor_looks_at_everything_a_pass_needs(
    folder: Path, server: PiwikProSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up(folder, source_of(server, more="real_time = true"))
    code, found = findings(capfd)
    assert code == 0
    said = [sentence for state, what, sentence in found if what == "source installers" and state == "good"]
    assert f'{server.url} answers and takes the credentials; site {server.site_id} is "Installer" in' in said[0]
    assert 'architecture = dimension2 "Architecture" (event slot 2), commit = dimension3 "Commit"' in said[1]
    assert re.search(r"raw data can be read: \d+ custom events since .*, the newest in the hour from", said[2])
    assert "real-time data can be read" in said[3]
    notes = [sentence for state, what, sentence in found if state == "note" and what == "source installers"]
    assert [note.split(":")[0] for note in notes] == ["session_limit_exceeded_action", "exclude_crawlers"]
    assert not (folder / ".matokit" / "warehouse.duckdb").exists()
    for path, asked in server.requests.recent:
        assert not PERSONAL.search(json.dumps(asked)), path


def test_doctor_goes_on_after_a_dimension_that_is_not_there(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    dimensions = (Dimension(1, 1, "Operating system", active=False), *OTHER_SLOTS[1:])
    with simulated(truth, dimensions=dimensions) as server:
        set_up(folder, source_of(server))
        code, found = findings(capfd)
    assert code == 3
    failed = [sentence for state, _, sentence in found if state == "failed"]
    assert len(failed) == 1
    assert "no active custom dimension with tracking id 1 for os; it has 2 (Architecture), 3 (Commit)" in failed[0]
    assert any("raw data can be read" in sentence for _, _, sentence in found)


def test_doctor_notes_what_the_server_does_to_values_and_to_events(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    dimensions = (*OTHER_SLOTS[:2], Dimension(3, 2, "Commit", case_sensitive=False))
    assumed = Assumptions(exclude_unknown_urls=True, settings_inherited=True, real_time=False)
    with simulated(truth, dimensions=dimensions, assumed=assumed) as server:
        set_up(folder, source_of(server, more="real_time = true"))
        code, found = findings(capfd)
    assert code == 0
    notes = [sentence for state, what, sentence in found if state == "note" and what == "source installers"]
    assert "commit: the server may fold its letters, as it is not case-sensitive" in notes
    assert any(note.startswith("os: a session keeps one value") for note in notes)
    assert any(note.startswith("no real-time data: ") for note in notes)
    assert any("is not set for this site, and initially split_and_exclude" in note for note in notes)


def test_doctor_needs_no_catalogue_where_the_settings_name_the_slots(
    folder: Path, server: PiwikProSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up(folder, source_of(server, more="slots = { os = 1, architecture = 2, commit = 3 }"))
    before = server.requests.counts["/api/analytics/v1/manage/custom-dimensions"]
    code, found = findings(capfd)
    assert code == 0
    assert server.requests.counts["/api/analytics/v1/manage/custom-dimensions"] == before
    assert any("by the slots of the settings: architecture = event slot 2" in sentence for _, _, sentence in found)


class WithFewRights(PiwikProSimulator):
    """An account whose user may view a site's data and nothing of how it is set up."""

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        if "/manage/" in request.path or "/tracker/" in request.path:
            return management_refusal(403, "Forbidden"), None
        return super().answer(request)


def test_doctor_says_what_rights_are_missing_and_what_works_without_them(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    with WithFewRights(truth, now=lambda: datetime.now(UTC)) as server:
        set_up(folder, source_of(server))
        code, found = findings(capfd)
        assert code == 3
        [failed] = [sentence for state, _, sentence in found if state == "failed"]
        assert "refuses to list the custom dimensions" in failed
        assert failed.endswith("or give the slots of all dimensions as slots = { os = 1, … }.")
        set_up(folder, source_of(server, more="slots = { os = 1, architecture = 2, commit = 3 }"))
        code, found = findings(capfd)
        assert code == 0
        [unread] = [sentence for _, _, sentence in found if sentence.startswith("tracker settings: ")]
        assert "refuses to show the tracker settings" in unread
        assert any("raw data can be read" in sentence for _, _, sentence in found)
        code, out, err = matokit(capfd, "doctor", "--why-missing")
        assert (code, err) == (3, "")
        assert "refuses to debug the tracker" in out
        code, out, err = trying(capfd, server)
        assert (code, err) == (0, "")
        assert "these credentials may not list them, so none was read" in out
        assert "Success in production: " in out
        assert "--dimensions" not in out.splitlines()[-1]


def test_doctor_asks_for_no_hour_that_the_clocks_repeat(folder: Path) -> None:
    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 in Copenhagen for the second time
    autumn = generate(days=3, events_per_day=60, seed=4, end=now)
    with PiwikProSimulator(autumn, now=lambda: now) as server:
        set_up(folder, source_of(server, more="real_time = true"))
        found = list(check_up(Home.of(settings.load(cwd=folder), FixedClock(now))))
        asked = [body for path, body in server.requests.recent if "date_from" in body]
    assert [finding.state for finding in found if finding.state == "failed"] == []
    assert {body["date_to"] for body in asked} == {"2026-10-25 03:00:00"}


def test_doctor_tries_refused_credentials_once(
    folder: Path, server: PiwikProSimulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(folder, source_of(server))
    monkeypatch.setenv("MATOKIT_INSTALLERS_CLIENT_SECRET", "wrong")
    before = server.requests.counts["/auth/token"]
    code, found = findings(capfd)
    assert code == 3
    assert server.requests.counts["/auth/token"] == before + 1
    assert [what for state, what, _ in found if state == "failed"] == ["source installers"]


def test_doctor_sees_that_a_site_has_moved_to_another_zone(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    with simulated(truth) as server:
        set_up(folder, source_of(server))
        assert matokit(capfd, "extract")[0] == 0
    with simulated(truth, zone="UTC") as moved:
        set_up(folder, source_of(moved))
        code, found = findings(capfd)
    assert code == 2
    [failed] = [sentence for state, _, sentence in found if state == "failed"]
    assert failed.startswith("its site is in UTC now and was read in Europe/Copenhagen until now")


def test_doctor_sees_that_a_source_means_another_site(
    folder: Path, server: PiwikProSimulator, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up(folder, source_of(server))
    assert matokit(capfd, "extract")[0] == 0
    with simulated(truth, site_id=OTHER_UUID) as another:
        set_up(folder, source_of(another))
        code, found = findings(capfd)
    assert code == 2
    [failed] = [sentence for state, _, sentence in found if state == "failed"]
    assert failed.startswith(f"was read from site {server.site_id} until now and would be from {OTHER_UUID}")


def last_seven_days(truth: Truth) -> pl.Expr:
    events = truth.events.filter(pl.col("category").is_not_null())
    return pl.lit(events["event_ts"].dt.truncate("1s").max()) - pl.duration(days=7)


def test_doctor_suspects_two_sources_that_hold_the_same_events(
    folder: Path, server: PiwikProSimulator, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    # the same account by another name, which the settings cannot know
    second = source_of(server, "second").replace("127.0.0.1", "localhost")
    set_up(folder, source_of(server), second)
    assert matokit(capfd, "extract")[0] == 0
    sent = truth.events.filter(pl.col("category").is_not_null() & (pl.col("event_ts") >= last_seven_days(truth))).height
    code, found = findings(capfd)
    assert code == 0
    [copies] = [sentence for _, what, sentence in found if what == "sources installers and second"]
    assert copies.startswith(f"{sent:,} of {sent:,} events of second in the last 7 days that both hold are in")
    assert 'set mirror_of = "installers" for it' in copies
    set_up(folder, source_of(server), second + '\nmirror_of = "installers"\n')
    code, found = findings(capfd)
    assert code == 0
    assert not [what for _, what, _ in found if what == "sources installers and second"]
    assert any("a mirror of installers, compared and never counted" in sentence for _, _, sentence in found)


def test_doctor_trusts_sources_that_share_nothing_and_doubts_such_a_mirror(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    one, other = truth.split(0.6)
    with simulated(one) as first, simulated(other) as second:
        set_up(folder, source_of(first), source_of(second, "second"))
        assert matokit(capfd, "extract")[0] == 0
        code, found = findings(capfd)
        assert code == 0
        assert not [what for _, what, _ in found if what.startswith("sources ")]
        set_up(folder, source_of(first), source_of(second, "second", 'mirror_of = "installers"'))
        code, found = findings(capfd)
        assert code == 0
        [doubted] = [s for state, what, s in found if (state, what) == ("note", "source second") and "mirror" in s]
        assert doubted.startswith("none of its ")
        set_up(folder, source_of(first))
        _, found = findings(capfd)
        assert ("note", "source second", "is in no settings any more; what was landed of it still counts") in found


# -- doctor --why-missing ---------------------------------------------------------------------------------------------


@pytest.fixture
def arriving() -> Iterator[PiwikProSimulator]:
    """A site at which nothing has arrived yet, and where a value that cannot be read breaks an event."""
    with simulated(generate(days=3, events_per_day=1, seed=1, end=NOW).events.head(0),
                   assumed=Assumptions(odd_value="broken")) as running:  # fmt: skip
        yield running


def test_why_missing_counts_what_arrived_by_what_became_of_it(
    folder: Path, arriving: PiwikProSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up(folder, source_of(arriving))
    code, out, err = matokit(capfd, "doctor", "--why-missing")
    assert (code, err) == (0, "")
    assert "nothing arrived in the last 30 minutes, not even what would be excluded" in out
    assert f"idsite={arriving.site_id} and rec=1 to {arriving.url}/ppms.php" in out

    cid = "00000000000000ab"
    send(arriving, e_c="Installer", e_a="Event", e_n="python_install", e_v="1", cid=cid)
    send(arriving, e_c="Installer", e_a="Event", e_n="python_install", e_v="1", cid="00000000000000ac")
    send(arriving, e_c="Installer", e_a="Event", e_n="homebrew_install", e_v="0", cid=cid, uid="somebody@example.org")
    send(arriving, e_c="Installer", e_a="Event", e_n="python_install", e_v="1", agent="install-bot/1.0")
    send(arriving, e_c="Installer", e_a="Event", e_n="python_install", e_v="one second")
    send(arriving)
    code, out, err = matokit(capfd, "doctor", "--why-missing", "--minutes", "5")
    assert (code, err) == (0, "")
    assert "installers: 6 events in the last 5 minutes, in " in out
    assert "  3 custom events recorded; raw data have them once their sessions have ended" in out
    assert "    2 Installer / python_install\n    1 Installer / homebrew_install\n" in out
    assert '  1 excluded, "User agent is on the crawler list": switch off exclude_crawlers' in out
    assert '  1 broken, "The value of the event is out of range": the server could not take what was sent' in out
    assert "  1 page view: a request without e_c and e_a is a page view" in out
    for secret in (cid, "somebody", "127.0.0.1 ", arriving.client_secret):
        assert secret not in out

    code, out, _ = matokit(capfd, "doctor", "--why-missing", "--visitor", cid.upper(), "--json")
    assert code == 0
    rows = json.loads(out)
    assert {(row["became"], row["name"], row["events"]) for row in rows} == {
        ("custom event", "python_install", 1), ("custom event", "homebrew_install", 1),
    }  # fmt: skip
    assert cid not in out
    code, out, _ = matokit(capfd, "doctor", "--why-missing", "--visitor", "f" * 16)
    assert code == 0
    assert "nothing arrived of that visitor" in out


def test_why_missing_sees_what_the_limit_of_a_session_loses(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    empty = generate(days=3, events_per_day=1, seed=1, end=NOW).events.head(0)
    with simulated(empty, assumed=Assumptions(session_max_event_count=3)) as server:
        set_up(folder, source_of(server))
        for _ in range(5):
            send(server, e_c="Installer", e_a="Event", e_n="python_install", e_v="1")
        code, out, _ = matokit(capfd, "doctor", "--why-missing")
    assert code == 0
    assert '  2 excluded, "Session limit exceeded": set session_limit_exceeded_action to just_split' in out


def test_why_missing_asks_the_other_sources_when_one_refuses(
    folder: Path, arriving: PiwikProSimulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    matomo = '[[sources]]\nname = "website"\nkind = "matomo"\nurl = "https://matomo.example.org"\nsite_id = "4"\n'
    set_up(folder, source_of(arriving), source_of(arriving, "second").replace("127.0.0.1", "localhost"), matomo)
    monkeypatch.setenv("MATOKIT_INSTALLERS_CLIENT_ID", arriving.no_access_client_id)
    send(arriving, e_c="Installer", e_a="Event", e_n="python_install", e_v="1")
    code, out, err = matokit(capfd, "doctor", "--why-missing")
    assert (code, err) == (3, "")
    first, second, *_ = out.splitlines()
    assert "source installers" in first
    assert first.endswith(".")
    assert second.startswith("second: 1 event in the last 30 minutes, in 1 session")
    assert out.splitlines()[-1].startswith(
        "website: Matomo keeps no log of what it leaves out; look at the newest visits"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--visitor", "00000000000000ab"], "--visitor and --minutes belong to --why-missing"),
        (["--minutes", "20"], "--visitor and --minutes belong to --why-missing"),
        (["--why-missing", "--visitor", "me"], "--visitor takes the 16 hexadecimal digits"),
        (["--why-missing", "--minutes", "301"], "--minutes"),
        (["--why-missing", "--minutes", "0"], "--minutes"),
    ],
)
def test_why_missing_refuses_what_it_cannot_ask(
    folder: Path, server: PiwikProSimulator, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    set_up(folder, source_of(server))
    before = server.requests.total
    code, out, err = matokit(capfd, "doctor", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert server.requests.total == before


# -- status -----------------------------------------------------------------------------------------------------------


def test_status_says_what_was_asked_and_what_is_known_of_the_last_hours(
    folder: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    with simulated(truth, faults=PiwikProFaults(real_time_delay_s=0)) as server:
        just_now = str(int(datetime.now(UTC).timestamp()) - 60)
        send(server, e_c="Installer", e_a="Event", e_n="python_install", e_v="1", cdt=just_now)
        set_up(folder, source_of(server, more="real_time = true"), "[http]\nrequests = 400\n")
        before = server.requests.total
        assert matokit(capfd, "extract")[0] == 0
        made = server.requests.total - before
        assert matokit(capfd, "extract")[0] == 0
        total = server.requests.total - before
        sent = truth.events.filter(pl.col("category").is_not_null()).height
        code, out, err = matokit(capfd, "status")
        assert (code, err) == (0, "")
        assert re.search(rf"installers: complete to .* UTC \(.* ago\), {sent:,} events\.", out)
        told = re.search(r"  (\d+) requests in the last pass \(at most 400\), (\d+) in the last 24 h, \d+ kB\.", out)
        assert told
        assert [int(told[1]), int(told[2])] == [total - made, total]
        assert re.search(r"  known of the last hours, provisionally and counted nowhere: \d+ events?\.", out)
        code, out, _ = matokit(capfd, "status", "--json")
    [row] = json.loads(out)
    assert row["requests_last_day"] == total
    assert row["provisional"] >= 1
    assert (row["kind"], row["mirror_of"], row["troubled"]) == ("piwik_pro", None, [])


def test_status_compares_a_mirror(
    folder: Path, server: PiwikProSimulator, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    with simulated(truth.events.filter(pl.int_range(pl.len()) % 50 != 0)) as poorer:
        set_up(
            folder, source_of(server), source_of(server, "second", 'mirror_of = "installers"'),
            source_of(poorer, "copy", 'mirror_of = "installers"'),
        )  # fmt: skip
        assert matokit(capfd, "extract")[0] == 0
        _, out, _ = matokit(capfd, "status")
        assert "not compared with installers yet" in out
        code, _, err = matokit(capfd, "build")
        assert (code, err) == (0, "")
        code, out, _ = matokit(capfd, "status")
    assert code == 0
    assert re.search(r"second: a mirror of installers, compared and never counted, complete to", out)
    assert re.search(r"  all \d+ days that were compared hold the same events as installers\.", out)
    assert re.search(r"  \d+ days? of \d+ hold other events than installers, the last .*; see mirror_daily\.", out)
    assert "more than six hours behind" not in out


def test_status_names_windows_that_do_not_add_up_and_those_given_up(
    folder: Path, server: PiwikProSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up(folder, source_of(server))
    assert matokit(capfd, "extract")[0] == 0
    home = Home.of(settings.load(cwd=folder), SystemClock())
    start = (NOW - timedelta(days=2)).replace(hour=9, minute=0, second=0, microsecond=0)

    def read_in_vain(hour: int, times: int, detail: str) -> None:
        window = Window(start + timedelta(hours=hour), start + timedelta(hours=hour + 1))
        with home.warehouse.writer() as connection:
            for _ in range(times):
                ledger.note_window(
                    connection, SourceKey("installers", server.site_id), window, Landed(*[0] * 7), tier="recent",
                    zone="Europe/Copenhagen", proof="none", status="incomplete", detail=detail, started=NOW,
                    finished=NOW, expected=9, dimensions="{}",
                )  # fmt: skip

    read_in_vain(0, 1, "the server announced 9 rows and gave 7")
    _, out, _ = matokit(capfd, "status")
    assert "  1 window did not add up; read again by each pass:\n" in out
    assert f"    {start:%Y-%m-%d} 09:00 to 10:00 UTC: the server announced 9 rows and gave 7.\n" in out
    read_in_vain(3, 5, "the number of its rows changed while it was read")
    code, out, _ = matokit(capfd, "status")
    assert code == 0
    assert "  2 windows did not add up; 1 of them read in vain too often, so passed by and marked:\n" in out
    assert "12:00 to 13:00 UTC: the number of its rows changed while it was read." in out
    assert f"`matokit extract --source installers --from {start:%Y-%m-%d}` tries them once more." in out
    _, out, _ = matokit(capfd, "status", "--json")
    assert [window["given_up"] for window in json.loads(out)[0]["troubled"]] == [False, True]
    assert matokit(capfd, "extract", "--from", f"{start:%Y-%m-%d}")[0] == 0
    _, out, _ = matokit(capfd, "status")
    assert "did not add up" not in out
