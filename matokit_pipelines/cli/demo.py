"""`demo`: the whole product against a simulated Matomo that misbehaves, ending at the real now, beside the truth.

Not here: the simulation (simulator/), the comparison (scoreboard.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import webbrowser
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import Frame, frame_of

if TYPE_CHECKING:
    from matokit_pipelines.cli.scoreboard import Scoreboard
    from matokit_pipelines.simulator.matomo_server import MatomoSimulator
    from matokit_pipelines.simulator.truth import Truth
    from matokit_pipelines.warehouse.refresh import Home

MARK = "made-by-matokit-demo"
ZONE = "Europe/Copenhagen"
_SETTINGS = """# Settings of the demo. Its Matomo lives only while `matokit demo` runs.
[project]
timezone = "{zone}"

[[sources]]
name = "installers"
kind = "matomo"
url = "{url}"
site_id = "1"
start_date = {start}

[http]
first_wait = 0.05 # the simulated server recovers at once
"""
_STRUCK = {
    "dropped": ("dropped connection", "dropped connections"),
    "half": ("broken answer", "broken answers"),
    "sqlstate": ("database failure", "database failures"),
    "memory": ("page too large for the server", "pages too large for the server"),
}


def demo(
    context: typer.Context,
    home: Path = typer.Option(Path(".matokit-demo"), help="Folder for everything the demo makes; yours is untouched."),
    days: int = typer.Option(60, min=3, help="Days of history, ending now."),
    events_per_day: float = typer.Option(400, min=1, help="Events a day, about."),
    seed: int = typer.Option(7, help="Same seed, same machines."),
    no_open: bool = typer.Option(False, "--no-open", help="Do not open the page in a browser."),
) -> None:
    """Run the whole product against a simulated Matomo, faults on, and compare with the truth."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.errors import CheckFailed
    from matokit_pipelines.simulator.faults import Faults
    from matokit_pipelines.simulator.matomo_server import MatomoSimulator
    from matokit_pipelines.simulator.truth import generate

    frame = frame_of(context)
    clock = SystemClock()
    folder = _fresh(home)
    frame.say(f"{days} days of simulated installations, read over HTTP from a Matomo that misbehaves.")
    frame.say()
    truth = generate(days=days, events_per_day=events_per_day, seed=seed, end=clock.now(), zone=ZONE)
    trouble = Faults(seed=seed, dropped=0.06, half=0.06, sqlstate=0.04, memory_visits=60)
    killer = _Killer(at_request=2 + days // 2)
    with MatomoSimulator(truth, now=clock.now, faults=trouble, on_request=killer.on_request) as server:
        used = _home(folder, server, truth)
        killer.run_and_kill(folder, server.token)
        with frame.progress("Reading, deriving, rendering"):
            page = _whole_product(used)
        with used.warehouse.reader() as connection:
            from matokit_pipelines.cli.scoreboard import compare

            board = compare(truth, connection)
        _show(frame, board, server.struck, killer.kills)
    _where_to_look(frame, home, page)
    if not no_open and sys.stdout.isatty():
        webbrowser.open(page.resolve().as_uri())
    if not board.is_whole:
        raise CheckFailed("The demo did not find everything that was sent; that is a defect of matokit, report it.")


class _Killer:
    """Starts a reader in a process of its own and kills it in the middle of its work."""

    def __init__(self, at_request: int) -> None:
        self.kills = 0
        self._at_request = at_request
        self._victim: subprocess.Popen[bytes] | None = None

    def on_request(self, number: int, method: str) -> None:
        if self._victim and number >= self._at_request and not self.kills:
            self._victim.send_signal(signal.SIGKILL)
            self.kills = 1

    def run_and_kill(self, folder: Path, token: str) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_"))}
        environ |= {"MATOKIT_HOME": str(folder), "MATOKIT_INSTALLERS_TOKEN": token}
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


def _home(folder: Path, server: MatomoSimulator, truth: Truth) -> Home:
    from zoneinfo import ZoneInfo

    from matokit_pipelines import settings
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.warehouse.refresh import Home

    start = truth.start.astimezone(ZoneInfo(ZONE)).date()
    file = folder / "matokit.toml"
    file.write_text(_SETTINGS.format(zone=ZONE, url=server.url, start=start), encoding="utf-8")
    environ = {"MATOKIT_HOME": str(folder), "MATOKIT_INSTALLERS_TOKEN": server.token}
    return Home.of(settings.load(file, environ, folder), SystemClock())


def _whole_product(home: Home) -> Path:
    """Refresh and render, as the schedule would; gives the weekly page."""
    from matokit_pipelines.orchestration import in_process

    outcome = in_process.refresh(home)
    if outcome.trouble:
        raise outcome.trouble
    return in_process.weekly_page(home)


def _show(frame: Frame, board: Scoreboard, struck: Counter[str], kills: int) -> None:
    faults = [f"{struck[name]} {words[struck[name] > 1]}" for name, words in _STRUCK.items() if struck[name]]
    frame.say(f"Read        {board.exact:,} of {board.sent:,} events, each once, exact to the second")
    if board.landed != board.exact:
        frame.say(f"            and {board.landed - board.exact:,} that were never sent like that")
    frame.say(f"            through {', '.join([*faults, f'{kills} kill'])}")
    frame.say(f"Understood  {board.understood:,} of {board.meant:,} installer events, as they were meant")
    found = sum(sighting.found for sighting in board.sightings)
    frame.say(f"Found       {found} of {len(board.sightings)} planted incidents")
    for sighting in board.sightings:
        mark = "✓" if sighting.found else "–"
        day = _day(sighting.incident.start)
        frame.say(f"            {mark} {day}  {sighting.incident.name}: {sighting.shown}")


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
