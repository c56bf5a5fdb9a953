"""A tool server of this process on a free port of loopback, asked over real HTTP.

Belongs here: starting, stopping, asking. Not here: homes (page_homes.py, landed.py, simulated.py), what must hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from matokit_pipelines.clock import Clock, SystemClock
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.toolserver.app import ToolServer
from matokit_pipelines.toolserver.building import build_server
from matokit_pipelines.toolserver.listening import bound, config_of

TOKEN = "a-token-for-tests-0123456789"
PAGES_TOKEN = "a-token-for-pages-0123456789"
ENVIRON = {
    "MATOKIT_TOOLSERVER_TOKEN": TOKEN,
    "MATOKIT_TOOLSERVER_PAGES_TOKEN": PAGES_TOKEN,
    "MATOKIT_TOOLSERVER_CALLS_PER_MINUTE": "0",
}


@dataclass(frozen=True)
class Served:
    """A running server. `client` has no token; `call` sends it."""

    server: ToolServer
    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, parameters: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        """A call as Opal makes it."""
        headers = {"authorization": f"Bearer {TOKEN}", **more.pop("headers", {})}
        return self.client.post(path, json={"parameters": dict(parameters or {})}, headers=headers, **more)

    def call(self, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """The answer of a call that must succeed."""
        answer = self.post(path, parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, *, token: str | None = TOKEN, **more: Any) -> httpx.Response:
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        return self.client.get(path, headers=headers, **more)


def loaded_with(folder: Path, settings: str = "", **environ: str) -> Loaded:
    """Settings of a home in `folder`, with the tokens of this module."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "matokit.toml"
    file.write_text(settings, encoding="utf-8")
    return load(file, {"MATOKIT_HOME": str(folder / "home"), **ENVIRON, **environ}, folder)


@contextmanager
def served(loaded: Loaded, clock: Clock | None = None) -> Iterator[Served]:
    """The server of a home while the block runs."""
    server = build_server(loaded, clock or SystemClock())
    listener = bound("127.0.0.1", 0)
    listener.listen(128)  # who comes early waits
    port = listener.getsockname()[1]
    running = uvicorn.Server(config_of(server, "127.0.0.1", port))
    thread = threading.Thread(target=running.run, args=([listener],), name="tool-server")
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            client.get("/healthz")
            yield Served(server, port, client)
    finally:
        running.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()
