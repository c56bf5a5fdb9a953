"""`demo`: the whole product against simulated services that misbehave, ending at the real now, beside the truth.

Not here: the services and the clock (demo_stage.py), the alerts of the past (demo_alerts.py) and of a component that
is broken on demand (demo_break.py), reports (demo_reports.py), the comparison (scoreboard.py).
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import webbrowser
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import typer

from matokit_pipelines.cli.demo_stage import ZONE
from matokit_pipelines.cli.frame import Frame, frame_of

if TYPE_CHECKING:
    from matokit_pipelines.cli.demo_stage import Services
    from matokit_pipelines.cli.scoreboard import Scoreboard
    from matokit_pipelines.simulator import Truth
    from matokit_pipelines.warehouse.refresh import Home

MARK = "made-by-matokit-demo"
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
    events_per_day: float = typer.Option(600, min=1, help="Events a day, about."),
    seed: int = typer.Option(7, help="Same seed, same machines."),
    broken: str | None = typer.Option(None, "--break", metavar="COMPONENT", help="Break it, and see its alert arrive."),
    serve: bool = typer.Option(False, "--serve", help="Go on with the tool server, until Ctrl-C."),
    no_open: bool = typer.Option(False, "--no-open", help="Do not open the page in a browser."),
) -> None:
    """Run the whole product against simulated services, faults on, and compare with the truth."""
    from matokit_pipelines.cli import demo_alerts, demo_break, demo_reports, demo_serve, demo_web
    from matokit_pipelines.cli.demo_stage import StageClock, home_of, services
    from matokit_pipelines.simulator.truth import generate

    logging.getLogger("matokit_pipelines").addHandler(logging.NullHandler())  # faults are wanted here, and counted
    frame, clock = frame_of(context), StageClock()
    if broken is not None:
        demo_break.check_component(broken)
    folder = _fresh(home)
    frame.say(f"{days} days of simulated installations, read over HTTP from a Piwik PRO and a Matomo that misbehave.")
    frame.say()
    truth = generate(
        days=days, events_per_day=events_per_day, seed=seed, end=clock.now(), zone=ZONE,
        without=demo_break.not_planted(broken),
    )  # fmt: skip
    where = demo_serve.listener() if serve else None
    address = f"http://{demo_serve.HOST}:{where.getsockname()[1]}" if where else ""
    with services(truth, clock, seed) as stage:
        used = home_of(folder, stage, truth, clock, address)
        stage.killer.run_and_kill(folder, stage.environ)
        board = _read(frame, used, stage, truth)
        web = demo_web.compare(used, stage.web)
        demo_web.show(frame, web)
        with frame.progress("Alerting") as step:
            past = demo_alerts.rehearse(used, truth, clock, step)
        seen = demo_alerts.sightings(past, truth)
        came = demo_alerts.show(frame, past, seen, stage, os.path.relpath(folder / "messages"))
        with frame.progress("Making pages, sending reports"):
            made = demo_reports.make(used)
        demo_reports.show(frame, made)
        told = broken is None or demo_break.play(frame, used, stage, clock, broken, seed)
        _where_to_look(frame, home, made.index)
        if not no_open and sys.stdout.isatty():
            webbrowser.open(made.index.resolve().as_uri())
        _check(board.is_whole and web.is_whole, "find everything that was sent")
        _check(came.is_whole, "tell each message once")
        _check(made.is_whole, "deliver each report once")
        _check(told, "tell of what it broke")
        if where:
            demo_serve.serve(frame, used, where)


def _check(is_good: bool, what: str) -> None:
    from matokit_pipelines.errors import CheckFailed

    if not is_good:
        raise CheckFailed(f"The demo did not {what}; that is a defect of matokit, report it.")


def _read(frame: Frame, home: Home, stage: Services, truth: Truth) -> Scoreboard:
    """Read, derive and compare with the truth; the alerts of all that time and the reports come after."""
    from matokit_pipelines.cli.scoreboard import compare

    began = home.clock.now()
    with frame.progress("Reading, deriving"):
        _whole_product(_without_alerts(home))
    with home.warehouse.reader() as connection:
        board = compare(stage.sent(began, home.clock.now()), truth.incidents, connection)
        rows = connection.execute("select count(*) from raw.piwik_pro_provisional where source = 'installers'")
        _show(frame, board, stage.struck, stage.killer.kills, rows.fetchall()[0][0])
    return board


def _without_alerts(home: Home) -> Home:
    """The same home, whose alerts do not begin with the last evaluation of the past."""
    alerts = home.loaded.settings.alerts.model_copy(update={"enabled": False})
    settings = home.loaded.settings.model_copy(update={"alerts": alerts})
    return replace(home, loaded=replace(home.loaded, settings=settings))


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


def _whole_product(home: Home) -> None:
    """Refresh, as the schedule would."""
    from matokit_pipelines.orchestration import in_process

    outcome = in_process.refresh(home, with_reports=False)
    if outcome.trouble:
        raise outcome.trouble


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
    return f"{instant.astimezone(ZoneInfo(ZONE)):%a %d %b}"


def _where_to_look(frame: Frame, home: Path, page: Path) -> None:
    command = f"{_this_command()} --config {home / 'matokit.toml'}"
    frame.say()
    frame.say(f"Look at     {os.path.relpath(page)}")
    frame.say(f"Ask         {command} status")
    frame.say(f"            {command} alerts history")
    frame.say(f'            {command} query "from component_daily order by failures desc limit 5"')


def _this_command() -> str:
    """What to type to run this very installation again."""
    beside = Path(sys.executable).parent / "matokit"
    found = shutil.which("matokit")
    return "matokit" if found and Path(found).parent == beside.parent else os.path.relpath(beside)
