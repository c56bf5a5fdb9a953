"""The tool server of the demo: five questions an agent asks, as lines that can be pasted, and the pages.

Not here: the server (toolserver/), the services behind it (demo_stage.py).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from matokit_pipelines.cli.frame import Frame
    from matokit_pipelines.warehouse.refresh import Home

HOST = "127.0.0.1"
PORT = 4000


@dataclass(frozen=True)
class Asked:
    """A question in words, and the one call that answers it."""

    words: str
    endpoint: str
    parameters: Mapping[str, Any]


QUESTIONS = (
    Asked("Is the installer healthy?", "/tools/get-installer-health", {}),
    Asked("Which commit broke python_install?", "/tools/get-commit-regressions", {"component": "python_install"}),
    Asked(
        "Top pages last week against the week before?",
        "/tools/get-most-popular-urls",
        {"period": "week", "date": "previous1", "compare": "previous", "limit": 5},
    ),
    Asked("Why was I paged?", "/tools/explain-alert", {}),
    Asked("Is the data complete?", "/tools/get-data-status", {}),
)


def listener() -> socket.socket:
    """A socket on the usual port, or on any free one when that is taken."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.toolserver.listening import bound

    try:
        return bound(HOST, PORT)
    except SettingsError:
        return bound(HOST, 0)


def serve(frame: Frame, home: Home, where: socket.socket) -> None:
    """Serve the home of the demo until Ctrl-C, and say what to ask. The token is made for this one run."""
    from matokit_pipelines.toolserver import listening
    from matokit_pipelines.toolserver.building import build_server

    token = secrets.token_hex(16)
    environ = {**home.loaded.environ, "MATOKIT_TOOLSERVER_TOKEN": token}
    server = build_server(replace(home.loaded, environ=environ), home.clock)
    address = f"http://{HOST}:{where.getsockname()[1]}"

    def tell() -> None:
        frame.say()
        frame.say(f"Pages       {address}/ with the token {token}")
        frame.say(f"MCP         {address}/mcp, Opal {address}/discovery")
        frame.say("Ask         until Ctrl-C:")
        for line in lines(address, token):
            frame.say(line)

    listening.serve(server, where, tell)


def lines(address: str, token: str) -> list[str]:
    """What to paste into a shell, each call after the question that it answers."""
    made = [f"TOKEN={token}"]
    for asked in QUESTIONS:
        body = json.dumps({"parameters": asked.parameters})
        made += [
            f"# {asked.words}",
            f'curl -s {address}{asked.endpoint} -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" '
            f"-d '{body}'",
        ]
    return made
