"""`simulate …`: a simulated service in the foreground, on this machine only. Not here: the simulation (simulator/)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import Frame, frame_of

if TYPE_CHECKING:
    from matokit_pipelines.clock import Clock

Days = typer.Option(60, min=3, help="Days of history, ending now.")
EventsPerDay = typer.Option(400, min=1, help="Events a day, about.")
Seed = typer.Option(7, help="Same seed, same machines.")
Zone = typer.Option("Europe/Copenhagen", help="Time zone of the site.")
Minutes = typer.Option(0, min=0, help="Stop by itself after so many minutes; 0: until Ctrl-C.")


def matomo(
    context: typer.Context,
    port: int = typer.Option(8088, help="Port on 127.0.0.1; 0 takes any free one."),
    days: int = Days,
    events_per_day: float = EventsPerDay,
    visits_per_day: float = typer.Option(150, min=0, help="Visits a day of a web site, about; 0: no web site."),
    seed: int = Seed,
    zone: str = Zone,
    faults: bool = typer.Option(True, help="Drop connections, break answers, run out of memory now and then."),
    minutes: float = Minutes,
) -> None:
    """A Matomo with a site full of installer events and a web site, to try everything without an account."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.simulator.faults import Faults
    from matokit_pipelines.simulator.matomo_server import MatomoSimulator
    from matokit_pipelines.simulator.matomo_web import LEAST_DAYS, WebTruth
    from matokit_pipelines.simulator.truth import generate
    from matokit_pipelines.windows import zone_named

    frame, clock, place = frame_of(context), SystemClock(), zone_named(zone)
    truth = generate(days=days, events_per_day=events_per_day, seed=seed, end=clock.now(), zone=zone)
    web = None
    if visits_per_day:
        span = max(days, LEAST_DAYS)
        web = WebTruth.generate(days=span, visits_per_day=visits_per_day, seed=seed, end=clock.now(), zone=zone)
    trouble = Faults(seed=seed, dropped=0.03, half=0.03, sqlstate=0.02, memory_visits=400) if faults else Faults()
    with MatomoSimulator(truth, zone=zone, now=clock.now, faults=trouble, port=port, web=web) as server:
        first = truth.start.astimezone(place).date()
        frame.say(f"A simulated Matomo answers at {server.url}, site 1, {truth.events.height:,} rows since {first}.")
        if web is not None:
            since = web.start.astimezone(place).date()
            frame.say(f"Its site 2 is a download site, {web.visits.height:,} visits since {since}.")
        _say_next(frame, [f"MATOKIT_INSTALLERS_TOKEN={server.token}"], "matomo", server.url, "1", zone, first)
        _wait(clock, minutes)
    frame.say("Stopped.")


def piwik_pro(
    context: typer.Context,
    port: int = typer.Option(8089, help="Port on 127.0.0.1; 0 takes any free one."),
    days: int = Days,
    events_per_day: float = EventsPerDay,
    seed: int = Seed,
    zone: str = Zone,
    faults: bool = typer.Option(True, help="Drop connections, break answers, void tokens, deliver late now and then."),
    minutes: float = Minutes,
) -> None:
    """A Piwik PRO with a site full of installer events, to try everything without an account."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.simulator.piwik_pro_faults import PiwikProFaults
    from matokit_pipelines.simulator.piwik_pro_server import PiwikProSimulator
    from matokit_pipelines.simulator.truth import generate
    from matokit_pipelines.windows import zone_named

    frame, clock, place = frame_of(context), SystemClock(), zone_named(zone)
    truth = generate(days=days, events_per_day=events_per_day, seed=seed, end=clock.now(), zone=zone)
    trouble = PiwikProFaults(seed=seed)
    if faults:
        trouble = PiwikProFaults(
            seed=seed,
            dropped=0.03,
            half=0.03,
            server_error=0.02,
            token_expires_early=0.02,
            processing_delay_s=3_600,
            late_share=0.01,
        )
    with PiwikProSimulator(truth, zone=zone, now=clock.now, faults=trouble, port=port) as server:
        first = truth.start.astimezone(place).date()
        rows = f"{truth.events.height:,} rows since {first}"
        frame.say(f"A simulated Piwik PRO answers at {server.url}, site {server.site_id}, {rows}.")
        later = ", some of them up to an hour later" if faults else ""
        frame.say(f"As with the real one, events come in sight half an hour after their session has ended{later}.")
        secrets = [
            f"MATOKIT_INSTALLERS_CLIENT_ID={server.client_id}",
            f"MATOKIT_INSTALLERS_CLIENT_SECRET={server.client_secret}",
        ]
        _say_next(frame, secrets, "piwik_pro", server.url, server.site_id, zone, first)
        _wait(clock, minutes)
    frame.say("Stopped.")


def _say_next(frame: Frame, secrets: list[str], kind: str, url: str, site: str, zone: str, first: date) -> None:
    """What to type in another terminal."""
    frame.say("In another terminal, in an empty folder:")
    for secret in secrets:
        frame.say(f"  export {secret}")
    frame.say(f"  matokit try --kind {kind} --url {url} --site {site}")
    frame.say(f"  matokit init --kind {kind} --url {url} --site {site} --timezone {zone} --start-date {first}")
    frame.say("  matokit doctor && matokit run && matokit status")
    frame.say("Ctrl-C stops it.")


def _wait(clock: Clock, minutes: float) -> None:
    """Until so many minutes have passed; 0: until interrupted."""
    end = clock.now() + timedelta(minutes=minutes)
    while not minutes or clock.now() < end:
        clock.sleep(0.5)
