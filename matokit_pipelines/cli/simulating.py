"""`simulate …`: a simulated service in the foreground, on this machine only. Not here: the simulation (simulator/)."""

from __future__ import annotations

import typer

from matokit_pipelines.cli.frame import frame_of


def matomo(
    context: typer.Context,
    port: int = typer.Option(8088, help="Port on 127.0.0.1; 0 takes any free one."),
    days: int = typer.Option(60, min=3, help="Days of history, ending now."),
    events_per_day: float = typer.Option(400, min=1, help="Events a day, about."),
    seed: int = typer.Option(7, help="Same seed, same machines."),
    zone: str = typer.Option("Europe/Copenhagen", help="Time zone of the site."),
    faults: bool = typer.Option(True, help="Drop connections, break answers, run out of memory now and then."),
    minutes: float = typer.Option(0, min=0, help="Stop by itself after so many minutes; 0: until Ctrl-C."),
) -> None:
    """A Matomo with a site full of installer events, to try everything without an account."""
    from datetime import timedelta

    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.simulator.faults import Faults
    from matokit_pipelines.simulator.matomo_server import MatomoSimulator
    from matokit_pipelines.simulator.truth import generate
    from matokit_pipelines.windows import zone_named

    frame = frame_of(context)
    zone_named(zone)
    clock = SystemClock()
    truth = generate(days=days, events_per_day=events_per_day, seed=seed, end=clock.now(), zone=zone)
    trouble = Faults(seed=seed, dropped=0.03, half=0.03, sqlstate=0.02, memory_visits=400) if faults else Faults()
    with MatomoSimulator(truth, zone=zone, now=clock.now, faults=trouble, port=port) as server:
        first = truth.start.astimezone(zone_named(zone)).date()
        frame.say(f"A simulated Matomo answers at {server.url}, site 1, {truth.events.height:,} rows since {first}.")
        frame.say("In another terminal, in an empty folder:")
        frame.say(f"  export MATOKIT_INSTALLERS_TOKEN={server.token}")
        frame.say(f"  matokit try --kind matomo --url {server.url} --site 1")
        frame.say(f"  matokit init --url {server.url} --site 1 --timezone {zone} --start-date {first}")
        frame.say("  matokit doctor && matokit run && matokit status")
        frame.say("Ctrl-C stops it.")
        end = clock.now() + timedelta(minutes=minutes)
        while not minutes or clock.now() < end:
            clock.sleep(0.5)
    frame.say("Stopped.")
