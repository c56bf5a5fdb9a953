"""`demo`: the whole product against simulated services that misbehave, ending at the real now, beside the truth.

Seventy of a hundred machines send to a Piwik PRO, the others to a Matomo; a second Piwik PRO receives what the Matomo
does and is declared its mirror. Not here: the simulation (simulator/), the comparison (scoreboard.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import webbrowser
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import Frame, frame_of

if TYPE_CHECKING:
    import polars as pl

    from matokit_pipelines.cli.scoreboard import Scoreboard, Sent
    from matokit_pipelines.clock import Clock
    from matokit_pipelines.simulator import MatomoSimulator, PiwikProFaults, PiwikProSimulator, Truth
    from matokit_pipelines.warehouse.refresh import Home

MARK = "made-by-matokit-demo"
ZONE = "Europe/Copenhagen"
PIWIK_PRO_SHARE = 0.7
COPY_SITE = "22222222-2222-4333-8444-555555555555"
KILLED_AT_REQUEST = 6
_SETTINGS = """# Settings of the demo. The services live only while `matokit demo` runs.
[project]
timezone = "{zone}"

[[sources]]
name = "installers"
kind = "piwik_pro"
url = "{installers.url}"
site_id = "{installers.site_id}"
real_time = true
start_date = {start}

[[sources]]
name = "lab"
kind = "matomo"
url = "{lab.url}"
site_id = "1"
start_date = {start}

[[sources]]
name = "lab_copy"
kind = "piwik_pro"
url = "{lab_copy.url}"
site_id = "{lab_copy.site_id}"
mirror_of = "lab" # receives the same events again: compared, never counted
start_date = {start}

[http]
first_wait = 0.05 # the simulated servers recover at once
"""
_STRUCK = {
    "dropped": ("dropped connection", "dropped connections"),
    "half": ("broken answer", "broken answers"),
    "server_error": ("failure of a server", "failures of a server"),
    "sqlstate": ("database failure", "database failures"),
    "memory": ("page too large for its server", "pages too large for their server"),
    "moving_count_once": ("wrong count", "wrong counts"),
    "token_expires_early": ("token void before its time", "tokens void before their time"),
}
_KINDS = {"piwik_pro": "Piwik PRO", "matomo": "Matomo"}


def demo(
    context: typer.Context,
    home: Path = typer.Option(Path(".matokit-demo"), help="Folder for everything the demo makes; yours is untouched."),
    days: int = typer.Option(60, min=3, help="Days of history, ending now."),
    events_per_day: float = typer.Option(400, min=1, help="Events a day, about."),
    seed: int = typer.Option(7, help="Same seed, same machines."),
    no_open: bool = typer.Option(False, "--no-open", help="Do not open the page in a browser."),
) -> None:
    """Run the whole product against simulated services, faults on, and compare with the truth."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.errors import CheckFailed
    from matokit_pipelines.simulator.truth import generate

    frame = frame_of(context)
    clock = SystemClock()
    folder = _fresh(home)
    frame.say(f"{days} days of simulated installations, read over HTTP from a Piwik PRO and a Matomo that misbehave.")
    frame.say()
    truth = generate(days=days, events_per_day=events_per_day, seed=seed, end=clock.now(), zone=ZONE)
    with _services(truth, clock, seed) as services:
        used = _home(folder, services, truth)
        services.killer.run_and_kill(folder, services.environ)
        began = clock.now()
        with frame.progress("Reading, deriving, rendering"):
            page = _whole_product(used)
        with used.warehouse.reader() as connection:
            from matokit_pipelines.cli.scoreboard import compare

            board = compare(services.sent(began, clock.now()), truth.incidents, connection)
            rows = connection.execute("select count(*) from raw.piwik_pro_provisional where source = 'installers'")
            _show(frame, board, services.struck, services.killer.kills, rows.fetchall()[0][0])
    _where_to_look(frame, home, page)
    if not no_open and sys.stdout.isatty():
        webbrowser.open(page.resolve().as_uri())
    if not board.is_whole:
        raise CheckFailed("The demo did not find everything that was sent; that is a defect of matokit, report it.")


@dataclass(frozen=True)
class _Services:
    """The simulated services, and who kills the first reader."""

    installers: PiwikProSimulator
    lab: MatomoSimulator
    lab_copy: PiwikProSimulator
    parts: tuple[Truth, Truth]
    killer: _Killer

    @property
    def environ(self) -> dict[str, str]:
        return {
            "MATOKIT_INSTALLERS_CLIENT_ID": self.installers.client_id,
            "MATOKIT_INSTALLERS_CLIENT_SECRET": self.installers.client_secret,
            "MATOKIT_LAB_TOKEN": self.lab.token,
            "MATOKIT_LAB_COPY_CLIENT_ID": self.lab_copy.client_id,
            "MATOKIT_LAB_COPY_CLIENT_SECRET": self.lab_copy.client_secret,
        }

    @property
    def struck(self) -> Counter[str]:
        return self.installers.struck + self.lab.struck + self.lab_copy.struck

    def sent(self, began: datetime, ended: datetime) -> list[Sent]:
        """What was sent to the sources that count, and what of it they showed when the reading began and ended."""
        from matokit_pipelines.cli.scoreboard import Sent

        ours, theirs = self.parts
        everything: pl.Series = theirs.events["event_ts"].is_not_null()
        must, may = (self.installers.in_sight(at) for at in (began, ended))
        return [
            Sent("installers", "piwik_pro", ours.events, must, may),
            Sent("lab", "matomo", theirs.events, everything, everything),
        ]


@contextmanager
def _services(truth: Truth, clock: Clock, seed: int) -> Iterator[_Services]:
    from matokit_pipelines.simulator import Faults, MatomoSimulator, PiwikProSimulator

    ours, theirs = truth.split(PIWIK_PRO_SHARE)
    killer = _Killer(KILLED_AT_REQUEST)
    trouble = Faults(seed=seed, dropped=0.06, half=0.06, sqlstate=0.04, memory_visits=60)
    with ExitStack() as stack:
        installers = PiwikProSimulator(
            ours, now=clock.now, faults=_piwik_pro_faults(seed), on_request=killer.on_request
        )
        lab = MatomoSimulator(theirs, now=clock.now, faults=trouble)
        copy = PiwikProSimulator(theirs, now=clock.now, faults=_piwik_pro_faults(seed + 1), site_id=COPY_SITE)
        for service in (installers, lab, copy):
            stack.callback(service.stop)
        yield _Services(installers, lab, copy, (ours, theirs), killer)


def _piwik_pro_faults(seed: int) -> PiwikProFaults:
    from matokit_pipelines.simulator import PiwikProFaults

    return PiwikProFaults(
        seed=seed, dropped=0.06, half=0.06, server_error=0.06, token_expires_early=0.05, moving_count_once=True,
        processing_delay_s=3_600, late_share=0.02, late_seconds=5_400,
    )  # fmt: skip


class _Killer:
    """Starts a reader in a process of its own and kills it in the middle of its work."""

    def __init__(self, at_request: int) -> None:
        self.kills = 0
        self._at_request = at_request
        self._victim: subprocess.Popen[bytes] | None = None

    def on_request(self, number: int, path: str) -> None:
        if self._victim and number >= self._at_request and not self.kills:
            self._victim.send_signal(signal.SIGKILL)
            self.kills = 1

    def run_and_kill(self, folder: Path, secrets: dict[str, str]) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_"))}
        environ |= {"MATOKIT_HOME": str(folder), **secrets}
        command = [
            sys.executable,
            "-m",
            "matokit_pipelines.cli.main",
            "--config",
            str(folder / "matokit.toml"),
            "extract",
        ]
        self._victim = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._victim.wait()
        self._victim = None


def _fresh(home: Path) -> Path:
    """An empty demo folder; refuses one that this command did not make."""
    from matokit_pipelines.errors import SettingsError

    folder = home.resolve()
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise SettingsError(f"{folder} was not made by the demo, so it is left alone; name another folder with --home.")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("This folder may be deleted at any time.\n", encoding="utf-8")
    return folder


def _home(folder: Path, services: _Services, truth: Truth) -> Home:
    from zoneinfo import ZoneInfo

    from matokit_pipelines import settings
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.warehouse.refresh import Home

    start = truth.start.astimezone(ZoneInfo(ZONE)).date()
    text = _SETTINGS.format(
        zone=ZONE, start=start, installers=services.installers, lab=services.lab, lab_copy=services.lab_copy
    )
    file = folder / "matokit.toml"
    file.write_text(text, encoding="utf-8")
    return Home.of(settings.load(file, {"MATOKIT_HOME": str(folder), **services.environ}, folder), SystemClock())


def _whole_product(home: Home) -> Path:
    """Refresh and render, as the schedule would; gives the weekly page."""
    from matokit_pipelines.orchestration import in_process

    outcome = in_process.refresh(home)
    if outcome.trouble:
        raise outcome.trouble
    return in_process.weekly_page(home)


def _show(frame: Frame, board: Scoreboard, struck: Counter[str], kills: int, provisional: int) -> None:
    faults = [f"{struck[name]} {words[struck[name] > 1]}" for name, words in _STRUCK.items() if struck[name]]
    for number, source in enumerate(board.sources):
        frame.say(
            f"{'' if number else 'Read':<12}{source.exact:,} of {source.shown:,} events of {source.source} "
            f"({_KINDS[source.kind]}), each once, exact to the second"
        )
        if source.landed != source.exact:
            frame.say(f"            and {source.landed - source.exact:,} that were never sent like that")
    frame.say(f"            through {', '.join([*faults, f'{kills} kill'])}")
    for source in board.sources:
        if source.to_come:
            frame.say(
                f"To come     {source.to_come:,} of the last hours, which {_KINDS[source.kind]} is still processing "
                f"({provisional:,} known provisionally by now)"
            )
    for mirror in board.mirrors:
        frame.say(
            f"Mirror      {mirror.source} holds the same events as {mirror.mirror_of} on {mirror.equal} of "
            f"{mirror.days} days compared; they are counted once"
        )
    frame.say(f"Understood  {board.understood:,} of {board.meant:,} installer events, as they were meant")
    found = sum(sighting.found for sighting in board.sightings)
    frame.say(f"Found       {found} of {len(board.sightings)} planted incidents")
    for sighting in board.sightings:
        mark = "✓" if sighting.found else "–"
        day = _day(sighting.incident.start)
        frame.say(f"            {mark} {day}  {sighting.incident.name}: {sighting.shown} ({sighting.table})")


def _day(instant: datetime) -> str:
    from zoneinfo import ZoneInfo

    return f"{instant.astimezone(ZoneInfo(ZONE)):%a %d %b}"


def _where_to_look(frame: Frame, home: Path, page: Path) -> None:
    command = f"{_this_command()} --config {home / 'matokit.toml'}"
    frame.say()
    frame.say(f"Look at     {os.path.relpath(page)}")
    frame.say(f"Ask         {command} status")
    frame.say(f'            {command} query "from component_daily order by failures desc limit 5"')


def _this_command() -> str:
    """What to type to run this very installation again."""
    beside = Path(sys.executable).parent / "matokit"
    found = shutil.which("matokit")
    return "matokit" if found and Path(found).parent == beside.parent else os.path.relpath(beside)
