"""Listening: the application behind uvicorn, on a socket, until a signal.

Not here: the application (app.py), what one connection may do (protocol.py), the command (cli/serving.py).
"""

from __future__ import annotations

import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from matokit_pipelines.clock import SystemClock
from matokit_pipelines.errors import MatokitError, SettingsError
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver import access_log
from matokit_pipelines.toolserver.app import ToolServer
from matokit_pipelines.toolserver.building import build_server
from matokit_pipelines.toolserver.protocol import KEEP_ALIVE_SECONDS, PLACES, SPARE, PatientProtocol

STOP_SECONDS = 10
BACKLOG = 2_048
SWITCH_SECONDS = 0.000_5  # a ready answer waits no longer for a tool that computes in a thread; Python's own is 0.005
FILES = 300  # descriptors for all that is no connection: snapshots, state.sqlite, pages, Matomo


def config_of(app: ToolServer | str, host: str, port: int, **further: Any) -> uvicorn.Config:
    """How uvicorn is to serve it: our own log, no header that names software, bounded in every direction."""
    PatientProtocol.places = _places()
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="auto",
        http=PatientProtocol,
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        log_level="error",  # its warnings are of what strangers send, a line each
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=BACKLOG,
        **further,
    )


def _places() -> int:
    """How many connections to serve, so that files can still be opened beside them; asks the system for enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = PLACES + SPARE + FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return PLACES if soft == resource.RLIM_INFINITY else max(1, min(PLACES, soft - SPARE - FILES))


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; SettingsError when the port is taken or the address is none of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # with SO_REUSEADDR only listening tells that the port is taken
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"The tool server cannot listen on {host} port {port} ({error.strerror or error}); end what uses it, or "
            "choose another with --port."
        ) from error
    listener.set_inheritable(True)
    return listener


def serve(server: ToolServer, listener: socket.socket, started: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal ends it. `started` is called once requests are taken."""
    host, port = listener.getsockname()[:2]

    class Telling(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                # what is there by now stays: looking through it again and again would hold up answers for 0.1 s each
                gc.collect()
                gc.freeze()
                started()

    sys.setswitchinterval(SWITCH_SECONDS)
    # uvicorn raises a signal again once it has ended in order; an order to end is then no accident
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        Telling(config_of(server, host, port)).run([listener])
    finally:
        gc.unfreeze()


def application() -> ToolServer:
    """The application by the settings that the environment names: for `serve --reload`, which starts it anew.

    What a person wrote wrong ends this process with one sentence; the one that watches the files starts the next.
    """
    access_log.to_stderr()
    try:
        return build_server(load(), SystemClock())
    except MatokitError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None


def serve_reloading(listener: socket.socket, folders: list[Path]) -> None:
    """Serve, and start anew when code, SQL, templates or settings change: for whoever writes tools."""
    further = {
        "factory": True,
        "reload": True,
        "reload_dirs": [str(folder) for folder in folders],
        "reload_includes": ["*.py", "*.sql", "*.yaml", "*.html", "*.toml"],
    }
    host, port = listener.getsockname()[:2]
    config = config_of("matokit_pipelines.toolserver.listening:application", host, port, **further)
    from uvicorn.supervisors import ChangeReload

    ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listener]).run()
