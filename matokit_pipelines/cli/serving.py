"""`serve`: the tool server of a home in the foreground.

Not here: the server (toolserver/), running it beside Dagster (up.py).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import Frame, frame_of

if TYPE_CHECKING:
    import socket

    from matokit_pipelines.settings import Loaded


def serve(
    context: typer.Context,
    host: str | None = typer.Option(None, help="Address to listen on; default: toolserver.host (127.0.0.1)."),
    port: int | None = typer.Option(None, min=0, max=65_535, help="Port; default: toolserver.port (4000); 0: any."),
    reload: bool = typer.Option(False, "--reload", help="Start anew when code, SQL, templates or settings change."),
) -> None:
    """Answer Opal and MCP clients, and show the pages, until Ctrl-C."""
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.toolserver import access_log, listening
    from matokit_pipelines.toolserver.building import build_server

    frame = frame_of(context)
    loaded = frame.loaded()
    settings = loaded.settings.toolserver
    host = host if host is not None else settings.host
    port = port if port is not None else settings.port
    server = build_server(loaded, SystemClock(), host)
    if server.kit.tracking:
        server.kit.tracking.check()  # here it is one sentence; once uvicorn starts, a traceback
    listener = listening.bound(host, port)
    if reload:
        _reload(frame, loaded, listener, host)
        return
    access_log.to_stderr()
    listening.serve(server, listener, lambda: _tell(frame, loaded, host, listener.getsockname()[1]))


def _tell(frame: Frame, loaded: Loaded, host: str, port: int) -> None:
    from matokit_pipelines.toolserver.addresses import in_address, reached

    address = loaded.settings.links.public_url or f"http://{in_address(reached(host))}:{port}"
    frame.say(f"Tools       {address}/discovery (Opal), {address}/mcp (MCP clients)")
    frame.say(f"Pages       {address}/ (log in with a token)")
    if host not in ("127.0.0.1", "::1", "localhost"):
        frame.say("            Reached from outside: put TLS in front of it, see docs/security.md.")


def _reload(frame: Frame, loaded: Loaded, listener: socket.socket, host: str) -> None:
    from matokit_pipelines import resources
    from matokit_pipelines.toolserver import listening

    if loaded.file:
        os.environ["MATOKIT_CONFIG"] = str(loaded.file)
    os.environ["MATOKIT_HOME"] = str(loaded.home)
    os.environ["MATOKIT_TOOLSERVER_HOST"] = host
    folders = [resources.path("sql"), resources.path("report_templates"), resources.PACKAGE]
    _tell(frame, loaded, host, listener.getsockname()[1])
    listening.serve_reloading(listener, [*folders, *([loaded.file.parent] if loaded.file else [])])
