"""Whatever a person or a server gets wrong: one sentence, its exit code, nothing lost, and well again afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from matokit_pipelines.cli import main
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.errors import FINE, INCOMPLETE, REFUSED, USAGE
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from tests.replay import TOKEN, Replay, fixture_day, verbatim, visits_in

pytestmark = pytest.mark.slow

ROOT = str(Path(__file__).parents[2])
SETTINGS = """
[project]
timezone = "Europe/Copenhagen"
[http]
attempts = 2
first_wait = 0.0
[[sources]]
name = "installers"
kind = "matomo"
url = "{url}"
site_id = "1"
start_date = 2026-11-14
"""
FULL_DISK = """
import resource, signal, sys
from matokit_pipelines.cli import main
import matokit_pipelines.warehouse.refresh
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main.run(["extract", "--from", "2026-11-14", "--to", "2026-11-14"]))
"""


@dataclass
class Place:
    """A folder in which everything was well once: settings, warehouse, snapshot, and the server they came from."""

    folder: Path
    server: Replay
    monkeypatch: pytest.MonkeyPatch
    cleanup: ExitStack
    command: list[str] = field(default_factory=lambda: ["extract"])
    code: str = ""

    @property
    def home(self) -> Path:
        return self.folder / ".matokit"

    def settings(self, text: str) -> None:
        (self.folder / "matokit.toml").write_text(text, encoding="utf-8")

    def url(self, url: str) -> None:
        self.settings(SETTINGS.format(url=url))

    def well(self) -> None:
        """Everything as it should be."""
        self.url(self.server.url)
        self.server.instead = lambda method, params: None
        self.monkeypatch.setenv("MATOKIT_INSTALLERS_TOKEN", TOKEN)

    def events(self) -> int:
        with Warehouse(self.home, SystemClock()).reader() as connection:
            rows = connection.execute("select count(*) from raw.matomo_events where vanished_at is null").fetchall()
        return int(rows[0][0])


@pytest.fixture(scope="module")
def good_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which all is well, to be copied."""
    folder = tmp_path_factory.mktemp("good")
    with fixture_day().serving() as server:
        home = Home.of(_loaded(folder, server.url), SystemClock())
        refresh.extract(home)
        refresh.build_and_publish(home)
    return home.loaded.home


def _loaded(folder: Path, url: str) -> Loaded:
    (folder / "matokit.toml").write_text(SETTINGS.format(url=url), encoding="utf-8")
    return load(environ={"MATOKIT_INSTALLERS_TOKEN": TOKEN}, cwd=folder)


@pytest.fixture
def place(tmp_path: Path, good_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("MATOKIT_")]:
        monkeypatch.delenv(variable)
    with ExitStack() as cleanup:
        made = Place(tmp_path, cleanup.enter_context(fixture_day().serving()), monkeypatch, cleanup)
        made.well()
        shutil.copytree(good_home, made.home)
        yield made


def answering(place: Place, answer: tuple[int, str, bytes], method: str = "") -> None:
    place.server.instead = lambda asked, params: answer if method in asked else None


def closed_port(place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place.url(f"http://127.0.0.1:{free.getsockname()[1]}")


def untrusted(place: Place) -> None:
    """A server whose certificate nobody vouches for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    place.cleanup.callback(server.server_close)
    place.cleanup.callback(server.shutdown)
    place.url(f"https://127.0.0.1:{server.server_address[1]}")


def no_access(place: Place) -> None:
    refused = verbatim("error.no-access-to-site")
    none = verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.noaccess")
    place.server.instead = lambda method, params: none if "getSitesId" in method else refused


def corrupted(place: Place) -> None:
    whole = (place.home / "warehouse.duckdb").read_bytes()
    (place.home / "warehouse.duckdb").write_bytes(b"\0" * 4_096 + whole[4_096:])


def not_a_warehouse(place: Place) -> None:
    (place.home / "warehouse.duckdb").write_text("This is a shopping list.\n" * 1_000)


def locked(place: Place) -> None:
    """Another process writes; here one that is in no hurry."""
    code = (
        "import sys; from pathlib import Path; from matokit_pipelines.clock import SystemClock; "
        "from matokit_pipelines.warehouse.connection import Warehouse\n"
        "with Warehouse(Path(sys.argv[1]), SystemClock()).writer(): print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(place.home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    place.cleanup.callback(child.communicate)

    def impatient(cls: type[Home], loaded: Loaded, clock: SystemClock) -> Home:
        return cls(loaded, clock, Warehouse(loaded.home, clock, wait_seconds=0.3))

    place.monkeypatch.setattr(Home, "of", classmethod(impatient))


def full_disk(place: Place) -> None:
    for visit in place.server.visits:
        for action in visit["actionDetails"]:
            action["eventValue"] = 77
    place.code = FULL_DISK


def token(place: Place, value: str | None) -> None:
    if value is None:
        place.monkeypatch.delenv("MATOKIT_INSTALLERS_TOKEN")
    else:
        place.monkeypatch.setenv("MATOKIT_INSTALLERS_TOKEN", value)
        answering(place, verbatim("error.bad-token.post-token-query-params"))


def command(*words: str) -> Callable[[Place], None]:
    return lambda place: setattr(place, "command", list(words))


def edited(old: str, new: str) -> Callable[[Place], None]:
    return lambda place: place.settings(SETTINGS.format(url=place.server.url).replace(old, new))


HALF = (200, "application/json", b'[{"idVisit": 434, "actionDetails": [{"type": "ev')
HTML = (200, "text/html", b"<!DOCTYPE html><title>Welcome to nginx!</title>")
ELSEWHERE = (301, "text/html", b"")

# what goes wrong -> how, the exit code, words the sentence must hold
CASES: dict[str, tuple[Callable[[Place], object], int, tuple[str, ...]]] = {
    "wrong host": (lambda p: p.url("http://matomo.invalid"), REFUSED, ("matomo.invalid", "no such host", "url")),
    "port closed": (closed_port, REFUSED, ("127.0.0.1", "nothing listens", "port")),
    "certificate": (untrusted, REFUSED, ("certificate", "127.0.0.1")),
    "wrong token": (lambda p: token(p, "wrong"), REFUSED, ("refuses the token", "MATOKIT_INSTALLERS_TOKEN")),
    "no access": (no_access, REFUSED, ("no site at all", "view access")),
    "unknown site": (
        lambda p: answering(p, verbatim("error.unknown-site"), "getSiteFromId"), REFUSED, ("site 1", "site_id"),
    ),
    "missing dimension": (
        edited("start_date", "dimensions = { os = 9 }\nstart_date"), REFUSED, ("dimension 9", "dimensions.os"),
    ),
    "HTML for JSON": (lambda p: answering(p, HTML), REFUSED, ("page instead of data", "url")),
    "half an answer": (lambda p: answering(p, HALF, "Live"), REFUSED, ("half a document", "nothing is lost")),
    "sent elsewhere": (lambda p: answering(p, ELSEWHERE), REFUSED, ("another address", "url")),
    "maintenance": (
        lambda p: answering(p, verbatim("maintenance.post-token-query-params")), REFUSED, ("503", "next pass"),
    ),
    "visits log off": (lambda p: answering(p, verbatim("disabled.visitor-log"), "Live"), REFUSED, ("deactivated",)),
    "full disk": (full_disk, REFUSED, ("disk", "free some space")),
    "corrupted warehouse": (corrupted, REFUSED, ("damaged", "move it aside")),
    "not a warehouse": (not_a_warehouse, REFUSED, ("not a warehouse", "move it aside")),
    "locked warehouse": (locked, REFUSED, ("Process", "try again")),
    "missing token": (lambda p: token(p, None), USAGE, ("no token", "MATOKIT_INSTALLERS_TOKEN")),
    "unknown key": (edited("site_id", "site_idd"), USAGE, ("matokit.toml", "site_idd", 'did you mean "site_id"')),
    "unknown section": (edited("[http]", "[htpp]"), USAGE, ("htpp", "not a setting")),
    "bad zone": (edited("Europe/Copenhagen", "Europe/Kopenhagen"), USAGE, ("project.timezone", "IANA")),
    "another zone": (edited("Europe/Copenhagen", "UTC"), USAGE, ("project.timezone", "--full")),
    "damaged TOML": (edited("[project]", "[project"), USAGE, ("not valid TOML",)),
    "bad kind": (edited('kind = "matomo"', 'kind = "piwik"'), USAGE, ("kind",)),
    "bad number": (edited("attempts = 2", "attempts = 0"), USAGE, ("http.attempts",)),
    "no settings file": (command("--config", "nowhere.toml", "extract"), USAGE, ("nowhere.toml", "matokit init")),
    "unknown source": (command("extract", "--source", "nobody"), USAGE, ('"nobody"', "installers")),
    "not a day": (command("extract", "--from", "14.11.2026"), USAGE, ("14.11.2026", "is not a day")),
    "days crossed": (command("extract", "--from", "2026-11-14", "--to", "2026-11-01"), USAGE, ("other way round",)),
    "day to come": (command("extract", "--from", "2090-01-01", "--to", "2090-01-02"), USAGE, ("has not begun",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_in_one_sentence_and_nothing_is_lost(
    place: Place, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    arrange, code, words = CASES[name]
    with open_current(place.home) as snapshot:
        before = snapshot.manifest
    arrange(place)
    capfd.readouterr()
    if place.code:
        environ = {**os.environ, "PYTHONPATH": ROOT}
        found = subprocess.run([sys.executable, "-c", place.code], env=environ, check=False, timeout=60).returncode
    else:
        found = main.run(place.command)
    said = capfd.readouterr().err
    assert found == code, said
    assert said.count("\n") == 1, said
    assert said.endswith(".\n"), said
    assert all(word in said for word in words), said
    assert TOKEN not in said
    assert "Error(" not in said
    with open_current(place.home) as snapshot:
        assert snapshot.manifest == before
        assert snapshot.query("select sum(events)::bigint as n from success_rate_daily")["n"].item() > 0
    recover(place)


def recover(place: Place) -> None:
    """Do what the sentence says; then everything is there, once."""
    place.cleanup.close()
    place.cleanup.enter_context(place.server.serving())
    place.monkeypatch.undo()
    place.monkeypatch.chdir(place.folder)
    place.well()
    if place.home.joinpath("warehouse.duckdb").stat().st_size and main.run(["status"]) == REFUSED:
        place.home.joinpath("warehouse.duckdb").rename(place.home / "aside.duckdb")
    assert main.run(["extract", "--from", "2026-11-14"]) == FINE
    assert main.run(["build"]) == FINE
    assert place.events() == 194
    with open_current(place.home) as snapshot:
        assert snapshot.query("select sum(events)::bigint as n from success_rate_daily")["n"].item() > 0


def test_known_loss_ends_with_its_own_code_once(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.server.visits += visits_in("Live.getLastVisitsDetails.truncated-visit")
    capfd.readouterr()
    assert main.run(["extract", "--from", "2026-11-15", "--to", "2026-11-15"]) == INCOMPLETE
    said = capfd.readouterr().err
    assert "150" in said
    assert said.count("\n") == 1
    assert main.run(["extract", "--from", "2026-11-15", "--to", "2026-11-15"]) == FINE
    capfd.readouterr()
    assert main.run(["status"]) == FINE
    assert "150" in capfd.readouterr().out, "it stays in status"


def test_debug_adds_the_traceback(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.url("http://127.0.0.1:1")
    capfd.readouterr()
    assert main.run(["--debug", "extract"]) == REFUSED
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert TOKEN not in said
