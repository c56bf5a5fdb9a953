"""`track …`: send installer events to a configured source's own tracker, to see them come out at the other end.

Not here: how they are sent (sources/tracking.py), how they are read (sql/staging/event_readings).
"""

from __future__ import annotations

import platform
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import AsJson, counted, frame_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from matokit_pipelines.settings import Loaded, Meaning, SourceSettings
    from matokit_pipelines.sources.tracking import Tracked

CATEGORY = "Installer"  # of the documented scripts: production
ERRORS = ("permission", "network", "disk", "missing_dependency", "unknown", "already_exists", "version")
_WITHOUT_ERROR = ("missing_dependency", "already_exists")
SUFFIXES = {error: f"_{error}" if error in _WITHOUT_ERROR else f"_{error}_error" for error in ERRORS}
MOST = 100_000


def track(
    context: typer.Context,
    name: str = typer.Option(..., "--name", "--component", help="Name of the event: the component, python_install."),
    outcome: str | None = typer.Option(None, help="success or failure, sent in a form that cannot be misread."),
    value: float | None = typer.Option(
        None, min=0, max=1e11, help="Send name and this value as they are, instead of --outcome."
    ),
    error: str = typer.Option("unknown", help=f"With --outcome failure, the kind of error: {', '.join(ERRORS)}."),
    duration: int | None = typer.Option(None, min=2, help="With --outcome success, the seconds it took."),
    source: str | None = typer.Option(None, help="Source whose tracker it is sent to; default: the one that counts."),
    category: str = typer.Option(
        CATEGORY, help="Where it ran; Installer counts as production, Installer_TEST as test."
    ),
    os: str | None = typer.Option(None, help='Operating system, such as "macOS 15.1"; default: this one.'),
    architecture: str | None = typer.Option(None, help="Architecture, such as arm64; default: this one."),
    commit: str | None = typer.Option(None, help="Commit of the script, 7 or 40 hexadecimal digits; default: none."),
    count: int = typer.Option(1, min=1, max=MOST, help="How many events."),
    machines: int = typer.Option(1, min=1, max=MOST, help="How many machines they come from, in turn."),
    over: int = typer.Option(0, min=0, max=1_380, help="Minutes, ending now, over which they are spread evenly."),
    as_json: bool = AsJson,
) -> None:
    """Send installer events to a source, as an installer would."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.sources.tracking import tracker_for

    frame, clock = frame_of(context), SystemClock()
    loaded = frame.loaded()
    used = source_of(loaded, source)
    if machines > count:
        raise SettingsError(f"{machines} machines cannot send {counted(count, 'event')}; give --count {machines}.")
    meant = dimensions(os, architecture, commit)
    sent_name, sent_value, more = in_form(used, name, outcome, value, error, duration)
    check_texts(category, sent_name, *meant.values())
    events = incident(
        clock.now(), category, sent_name, sent_value, meant | more, count=count, machines=machines, over=over
    )
    tracker = tracker_for(loaded, used, clock)
    try:
        with frame.progress("Sending") as step:
            requests = tracker.send(events, step)
    finally:
        tracker.close()
    if as_json:
        row = {"source": used.name, "events": len(events), "machines": machines, "requests": requests,
               "category": category, "name": sent_name, "value": sent_value,
               "first_at": events[0].at, "last_at": events[-1].at}  # fmt: skip
        frame.rows([row], as_json=True)
        return
    frame.say(
        f"Sent {counted(len(events), 'event')} of {counted(machines, 'machine')} to {used.name} ({used.url}): "
        f"category {category}, {sent_name} with value {sent_value:g}."
    )
    frame.say("The next refresh that covers this moment reads them." + _when(used))


def source_of(loaded: Loaded, name: str | None) -> SourceSettings:
    """The source named, or the one that counts; SettingsError when that leaves a choice."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.settings import NO_SOURCE

    if name is not None:
        return loaded.settings.source(name)
    found = [source for source in loaded.settings.sources if source.mirror_of is None and source.has_events]
    if not found:
        raise SettingsError(NO_SOURCE)
    if len(found) > 1:
        raise SettingsError(f"Several sources count; name one with --source: {', '.join(s.name for s in found)}.")
    return found[0]


def in_form(
    source: SourceSettings, name: str, outcome: str | None, value: float | None, error: str, duration: int | None
) -> tuple[str, float, dict[Meaning, str]]:
    """Name, value and further dimensions that say the outcome, so that no other event changes how it is read.

    A bare 0 is a success of no time where others send durations, so a failure carries its kind of error: in a
    dimension where the source has those of the contract, else at the end of the name.
    """
    from matokit_pipelines.errors import SettingsError

    if (outcome is None) == (value is None):
        raise SettingsError("Give either --outcome success, --outcome failure, or --value.")
    if value is not None:
        return name, value, {}
    if outcome not in ("success", "failure"):
        raise SettingsError(f'--outcome "{outcome}" is neither success nor failure.')
    if error not in SUFFIXES:
        raise SettingsError(f'--error "{error}" is not known; give one of {", ".join(ERRORS)}.')
    if "contract" in source.dimensions:
        contract: dict[Meaning, str] = {"contract": "1"}
        if outcome == "failure":
            return name, 0.0, contract | {"error_type": error}
        return name, 1.0, contract | ({"duration": str(duration)} if duration else {})
    if outcome == "failure":
        return name + SUFFIXES[error], 0.0, {}
    return name, float(duration or 1), {}


def dimensions(os: str | None, architecture: str | None, commit: str | None) -> dict[Meaning, str]:
    """What is told of a machine; of this one where nothing is given."""
    told: dict[Meaning, str] = {
        "os": this_system() if os is None else os,
        "architecture": platform.machine() if architecture is None else architecture,
    }
    return told | ({"commit": commit} if commit else {})


def this_system() -> str:
    """This machine's operating system as installers send it."""
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    if platform.system() == "Windows":
        return f"Windows {platform.version()}"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system()
    return f"Linux {release.get('NAME', '').partition(' ')[0]} {release.get('VERSION_ID', '')}".strip()


def check_texts(*texts: str) -> None:
    """SettingsError for what a tracker would refuse, or take for no event at all."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.sources.tracking import LONGEST_TEXT

    for text in texts:
        if not text.strip() or len(text) > LONGEST_TEXT:
            raise SettingsError(f"Category, name and what is told of a machine need 1 to {LONGEST_TEXT:,} characters.")


def incident(
    now: datetime,
    category: str,
    name: str,
    value: float,
    told: dict[Meaning, str],
    *,
    count: int,
    machines: int,
    over: int,
) -> Sequence[Tracked]:
    """`count` like events of `machines` new visitors in turn, oldest first, the last one at `now`."""
    from matokit_pipelines.sources.tracking import Tracked

    visitors = [secrets.token_hex(8) for _ in range(machines)]
    step = timedelta(minutes=over) / max(1, count - 1)
    return [
        Tracked(visitors[number % machines], now - (count - 1 - number) * step, category, name, value, told)
        for number in range(count)
    ]


def _when(source: SourceSettings) -> str:
    lag = "10 minutes" if source.kind == "matomo" else "two and a half hours"
    return f" Data of this kind of source are known to be complete after {lag}."
