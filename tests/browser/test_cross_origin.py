"""A web page elsewhere calls the server from a real browser: from a listed origin it can, from another it cannot.

Not here: the headers one by one (integration/test_cross_origin.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.serving import TOKEN, Served, loaded_with, served

pytestmark = pytest.mark.browser

CALL = """async ([address, token]) => {
  const headers = {authorization: `Bearer ${token}`, "content-type": "application/json"};
  const post = (path, body, more) => fetch(address + path,
    {method: "POST", headers: {...headers, ...more}, body: JSON.stringify(body)});
  try {
    const tool = await post("/tools/get-health-status", {parameters: {}}, {"x-request-id": "from-a-page"});
    const mcp = await post("/mcp", {jsonrpc: "2.0", id: 1, method: "tools/list"},
      {accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"});
    const refused = await post("/tools/get-health-status", {}, {authorization: "Bearer nonsense"});
    return {status: (await tool.json()).status, id: tool.headers.get("x-request-id"),
      tools: (await mcp.json()).result.tools.length, refused: (await refused.json()).type};
  } catch (error) { return error.name; }
}"""


class Blank(BaseHTTPRequestHandler):
    """A page with nothing on it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def page_at() -> Iterator[int]:
    """The port of a web site that is not ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Blank) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield site.server_port
        site.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, page_at: int) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("listed")
    settings = f'[toolserver]\nallowed_origins = ["http://127.0.0.1:{page_at}"]\n'
    with served(loaded_with(folder, settings)) as running:
        yield running


def test_only_a_listed_page_can_call(server: Served, browser: Browser, page_at: int) -> None:
    found = {}
    for host in ("127.0.0.1", "localhost"):  # two origins; the second is not listed
        page = browser.new_page()
        page.goto(f"http://{host}:{page_at}/")
        found[host] = page.evaluate(CALL, [server.url, TOKEN])
        page.close()
    assert found["localhost"] == "TypeError", "a browser tells the page nothing"
    assert found["127.0.0.1"] == {"status": "unhealthy", "id": "from-a-page", "tools": 27, "refused": "unauthorized"}
