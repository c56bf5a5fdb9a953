"""`up`: Dagster's web server, daemon and one code server of a home on this machine, and its tool server, watched over.

Not here: how processes are kept running (supervising.py), and what Dagster does (orchestration/): the children load
it, this process does not.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import Frame, frame_of

if TYPE_CHECKING:
    from matokit_pipelines.cli.supervising import Child
    from matokit_pipelines.settings import Loaded

LOCATION = "matokit"  # cursors and on/off states are kept under it: never another one
LOOPBACK = "127.0.0.1"
DEFINITIONS = "matokit_pipelines.orchestration.definitions"
CUT_OFF_RUNS = "matokit_pipelines.orchestration.up_cut_off_runs"
DAEMON_SPEAKS = "configured with the following daemons"  # what Dagster 1.13 logs when its daemons are started
# Below those that systems hand out to clients: a client that tries such a port again and again while nobody listens
# is some time given the same port for itself, connects to itself, and keeps the server from coming back.
OWN_PORTS = range(20_000, 30_000)
LEFTOVERS_WAIT_SECONDS = 20.0


def up(
    context: typer.Context,
    port: int = typer.Option(3000, min=0, max=65_535, help="Port of the web page; 0 takes any free one."),
    host: str = typer.Option(LOOPBACK, help="Address the web page listens on; it has no login."),
    tools: bool = typer.Option(
        True, "--tools/--no-tools", help="Whether the tool server runs too, once it has a token."
    ),
) -> None:
    """Schedules, runs, Dagster's web page and the tool server, kept running until Ctrl-C."""
    import asyncio
    import signal

    from matokit_pipelines import resources
    from matokit_pipelines.cli.supervising import Supervisor
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.warehouse.connection import translated

    frame, clock = frame_of(context), SystemClock()
    loaded = frame.loaded()
    secrets = check_settings(loaded)
    serving = tools_address(loaded) if tools else None
    with translated(resources.dagster_home(loaded.home)), only_one(loaded.home) as lock:
        web_port, code_port = free_port(host, port), free_port(LOOPBACK, 0)
        tell(frame, loaded, host)
        if tools and serving is None:
            frame.say("The tool server is left out: it has no token, see docs/opal.md.")
        environ = environment(loaded)
        end_cut_off_runs(loaded.home, environ)
        workspace = write_workspace(loaded.home, code_port)
        supervisor = Supervisor(
            [*children(loaded.home, workspace, code_port, host, web_port), *tool_server(serving)],
            logs=loaded.home / "logs",
            environ=environ,
            say=lambda line: frame.say(f"{clock.now():%Y-%m-%d %H:%M:%S} UTC  {line}"),
            secrets=secrets,
            inherited=lock,
        )
        received = asyncio.run(supervisor.run())
    if received == signal.SIGINT:
        raise KeyboardInterrupt
    frame.say("Stopped.")


def check_settings(loaded: Loaded) -> list[str]:
    """All credentials, of sources and of delivery; SettingsError when there is nothing to read or nothing to read it
    with."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.settings import CALLER, SECRETS_OF_SECTIONS, WEBHOOK

    if os.name != "posix":
        raise SettingsError("`matokit up` needs Linux or macOS; elsewhere call `matokit run` from a scheduler.")
    if not loaded.settings.sources:
        raise SettingsError("The settings name no source, so there is nothing to read; `matokit init` writes them.")
    named = {v.removesuffix("_FILE") for v in loaded.environ if v.startswith((WEBHOOK, CALLER))}
    variables = (*SECRETS_OF_SECTIONS, "OPAL_BEARER_TOKEN", "MATOMO_TOKEN", *sorted(named))
    of_delivery = (loaded.secret(variable) for variable in variables)
    of_sources = (secret for source in loaded.settings.sources for secret in loaded.credentials(source))
    return [*of_sources, *filter(None, of_delivery)]


def tools_address(loaded: Loaded) -> tuple[str, int] | None:
    """Where the tool server is to listen; None when no token is given. SettingsError for a token that is none."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.settings import CALLER
    from matokit_pipelines.toolserver.tokens import MAIN, PREDECESSOR, Tokens

    if not any(name.removesuffix("_FILE") in (MAIN, PREDECESSOR) or name.startswith(CALLER) for name in loaded.environ):
        return None
    Tokens(loaded, SystemClock())
    settings = loaded.settings.toolserver
    return settings.host, free_port(settings.host, settings.port)


@contextmanager
def only_one(home: Path) -> Iterator[int]:
    """Hold the lock of this home's `up`; the descriptor is handed to the keepers, which hold it with us.

    It is free again when all of them are gone, so a second `up` never meets processes of a killed first one.
    ServicesError names the `up` that holds it.
    """
    import fcntl

    from matokit_pipelines.errors import ServicesError

    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / "up.holder"
    lock = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    end = time.monotonic() + LEFTOVERS_WAIT_SECONDS
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pid = _pid_in(holder)
                if pid and _is_alive(pid):
                    raise ServicesError(
                        f"`matokit up` runs already for {home}, as process {pid}; end that one first."
                    ) from None
                if time.monotonic() > end:
                    raise ServicesError(
                        f"Processes of an earlier `matokit up` for {home} do not end; see `ps`, end them and try again."
                    ) from None
                time.sleep(0.2)
        holder.write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
        yield lock
        holder.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _pid_in(holder: Path) -> int | None:
    try:
        return int(json.loads(holder.read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_alive(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def free_port(host: str, port: int) -> int:
    """`port`, or any free one when it is 0; SettingsError when it cannot be listened on."""
    import errno

    from matokit_pipelines.errors import SettingsError

    if port == 0:
        for candidate in random.SystemRandom().sample(OWN_PORTS, 100):
            if not _refusal(host, candidate):
                return candidate
    if not (refusal := _refusal(host, port)):
        return port
    if refusal.errno == errno.EADDRINUSE:
        raise SettingsError(f"Port {port} of {host} is in use; name another one with --port.") from refusal
    said = refusal.strerror or refusal
    raise SettingsError(
        f"Nothing can listen on port {port} of {host} ({said}); name others with --host and --port."
    ) from refusal


def _refusal(host: str, port: int) -> OSError | None:
    import socket

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return error
    return None


def tell(frame: Frame, loaded: Loaded, host: str) -> None:
    """Put Dagster's settings in place; say what a person should know before all begins."""
    from matokit_pipelines import resources

    there = resources.put_dagster_settings(loaded.home)
    frame.say(f"{there}.")
    if host not in (LOOPBACK, "localhost", "::1"):
        frame.say(f"The web page has no login: whoever reaches {host} can start and stop runs.")


def environment(loaded: Loaded) -> dict[str, str]:
    """The children's environment: ours, the home and settings in use, nothing reported to Dagster's makers."""
    from matokit_pipelines import resources

    given = {
        "MATOKIT_HOME": str(loaded.home),
        "DAGSTER_HOME": str(resources.dagster_home(loaded.home)),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if loaded.file is not None:
        given["MATOKIT_CONFIG"] = str(loaded.file)
    return os.environ | given


def end_cut_off_runs(home: Path, environ: dict[str, str]) -> None:
    """Mark the runs as failed that ended with an earlier `up`; ServicesError when Dagster's files cannot be used."""
    from matokit_pipelines.errors import ServicesError

    done = subprocess.run(  # noqa: S603 - our own command
        cut_off_runs(home), env=environ, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        error = ServicesError(said[-1] if said else f"Dagster's records in {home / 'dagster'} cannot be used.")
        error.exit_code = done.returncode if done.returncode > 0 else error.exit_code
        raise error


def cut_off_runs(home: Path) -> tuple[str, ...]:
    """The command that marks runs as failed whose process ended with the code server."""
    return (sys.executable, "-m", CUT_OFF_RUNS, str(home))


def write_workspace(home: Path, code_port: int) -> Path:
    """The workspace file that points web server and daemon at the one code server."""
    import yaml

    server = {"host": LOOPBACK, "port": code_port, "location_name": LOCATION}
    file = home / "dagster" / "up-workspace.yaml"
    text = "# Written by `matokit up` each time it starts.\n" + yaml.safe_dump({"load_from": [{"grpc_server": server}]})
    file.write_text(text, encoding="utf-8")
    return file


def children(home: Path, workspace: Path, code_port: int, host: str, port: int) -> list[Child]:
    """The processes in the order in which they are started."""
    from matokit_pipelines.cli.supervising import Child

    python = (sys.executable, "-m")
    shown = f"[{host}]" if ":" in host else host
    reached = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - what a person gave, not what we bind
    return [
        Child(
            name="code-server",
            title="The code server",
            command=(
                *python, "dagster", "api", "grpc", "--host", LOOPBACK, "--port", str(code_port),
                "--module-name", DEFINITIONS, "--location-name", LOCATION, "--use-python-environment-entry-point",
            ),
            ready="The code server is ready.",
            port=(LOOPBACK, code_port),
            before_again=cut_off_runs(home),
        ),
        Child(
            name="web-server",
            title="The web server",
            command=(*python, "dagster_webserver", "--host", host, "--port", str(port), "--workspace", str(workspace)),
            ready=f"The web page is at http://{shown}:{port}",
            port=(reached, port),
        ),
        Child(
            name="daemon",
            title="The daemon",
            command=(*python, "dagster._daemon", "run", "--workspace", str(workspace)),
            ready="The daemon looks after schedules and runs.",
            says_when_ready=DAEMON_SPEAKS,
        ),
    ]  # fmt: skip


def tool_server(address: tuple[str, int] | None) -> list[Child]:
    """The tool server at an address; nothing without one."""
    from matokit_pipelines.cli.supervising import Child
    from matokit_pipelines.toolserver.addresses import in_address, reached

    if address is None:
        return []
    host, port = address
    to_reach = reached(host)
    command = (sys.executable, "-m", "matokit_pipelines.cli.main", "serve", "--host", host, "--port", str(port))
    return [
        Child(
            name="tool-server",
            title="The tool server",
            command=command,
            ready=f"The tool server is at http://{in_address(to_reach)}:{port}",
            port=(to_reach, port),
        )
    ]
