"""Every tool listed and called by three kinds of client: the official MCP one, a reader of discovery documents, curl.

The transcripts are the documents: docs/sample-responses.md and the questions in docs/mcp.md are what was answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from pydantic import TypeAdapter

from matokit_pipelines.cli.demo_serve import QUESTIONS, lines
from matokit_pipelines.toolserver.registry import all_tools
from matokit_pipelines.toolserver.registry_check import findings
from tests.sample_home import full_server
from tests.serving import TOKEN, Served
from tests.tool_samples import ADDRESS, ARGUMENTS, ROOT, curl_line, questions_part, sample_document

TOOLS = list(all_tools(tracking=True))
SAMPLES = ROOT / "docs" / "sample-responses.md"
MCP = ROOT / "docs" / "mcp.md"
QUESTIONS_PART = re.compile(r"(?<=<!-- questions -->\n).*?(?=<!-- /questions -->)", re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with full_server(tmp_path_factory.mktemp("full")) as running:
        yield running


def shell(server: Served, command: str) -> Any:
    """What a line prints, read as JSON; the address of the documents stands for that of the server."""
    ran = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, server.url)],
        capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "TOKEN": TOKEN},
    )  # fmt: skip
    assert ran.stderr == ""
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def answers(server: Served) -> dict[str, Any]:
    """What curl got of every tool, in the order of the discovery document."""
    return {tool.name: shell(server, curl_line(tool.endpoint, ARGUMENTS.get(tool.name, {}))) for tool in TOOLS}


@asynccontextmanager
async def mcp_session(server: Served) -> Any:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as http,
        streamable_http_client(f"{server.url}/mcp", http_client=http) as (read, write),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


# -- curl ----------------------------------------------------------------------------------------------------------


def test_curl_gets_an_answer_of_every_tool_that_fits_its_published_type(answers: dict[str, Any]) -> None:
    for tool in TOOLS:
        TypeAdapter(tool.result).validate_python(answers[tool.name])
        assert "error" not in answers[tool.name], tool.name


def test_the_sample_document_is_what_was_answered(answers: dict[str, Any]) -> None:
    document = sample_document(TOOLS, answers)
    if os.environ.get("MATOKIT_WRITE_GOLDEN"):
        SAMPLES.write_text(document, encoding="utf-8")
    assert SAMPLES.read_text(encoding="utf-8") == document


def test_the_lines_that_the_demo_prints_work_as_printed(server: Served) -> None:
    script = lines(server.url, TOKEN)
    assert [line.removeprefix("# ") for line in script if line.startswith("# ")] == [q.words for q in QUESTIONS]
    for line in script:
        if line.startswith("curl"):
            assert "error" not in shell(server, f"{script[0]}\n{line}")


# -- a reader of discovery documents ---------------------------------------------------------------------------------


def test_a_reader_of_the_discovery_document_can_call_all_it_lists(server: Served, answers: dict[str, Any]) -> None:
    document = server.get("/discovery", token=None)
    assert findings(document.content) == []
    listed = document.json()["functions"]
    assert [function["name"] for function in listed] == [tool.name for tool in TOOLS]
    for function in listed:
        arguments = ARGUMENTS.get(function["name"], {})
        assert set(arguments) <= {parameter["name"] for parameter in function["parameters"]}
        # as the platform sends it: optional ones null or blank, keys of its own beside them
        blank = {p["name"]: ("" if p["type"] == "string" else None) for p in function["parameters"]}
        answer = httpx.request(
            function["http_method"],
            server.url + function["endpoint"],
            json={
                "parameters": {**blank, **arguments},
                "environment": {"execution_mode": "headless"},
                "chat_metadata": {"x": 1},
            },
            headers={"Authorization": f"Bearer {TOKEN}", "x-opal-thread-id": "t" * 100},
            timeout=30,
        )
        assert answer.status_code == 200, (function["name"], answer.text)
        if not function["name"].startswith("Track"):
            assert type(answer.json()) is type(answers[function["name"]])


def test_readers_are_marked_as_such(server: Served) -> None:
    for function in server.get("/discovery", token=None).json()["functions"]:
        assert function["hints"] == (["write"] if function["name"].startswith("Track") else [])


# -- MCP -------------------------------------------------------------------------------------------------------------


def test_the_official_client_lists_and_calls_every_tool(server: Served, answers: dict[str, Any]) -> None:
    async def walk() -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with mcp_session(server) as session:
            listed = (await session.list_tools()).tools
            assert [tool.name for tool in listed] == [tool.snake_name for tool in TOOLS]
            for tool, own in zip(listed, TOOLS, strict=True):
                assert tool.annotations.read_only_hint is not own.writes
                result = await session.call_tool(tool.name, dict(ARGUMENTS.get(own.name, {})))
                assert not result.is_error, (tool.name, result.content)
                text = json.loads(result.content[0].text)
                wrapped = text if isinstance(text, dict) else {"result": text}
                assert result.structured_content == wrapped
                found[own.name] = text
        return found

    found = asyncio.run(walk())
    for tool in TOOLS:
        if tool.feature is not None:  # kept for both faces alike
            assert found[tool.name] == answers[tool.name]


def test_a_mistake_comes_as_an_error_that_says_what_to_do(server: Served) -> None:
    async def play() -> list[Any]:
        async with mcp_session(server) as session:
            return [
                await session.call_tool("get_most_popular_urls", {"limit": 0}),
                await session.call_tool("get_key_numbers", {"siteId": "Nowhere"}),
                await session.call_tool("no_such_tool", {}),
            ]

    for result in asyncio.run(play()):
        assert result.is_error
        assert len(result.content[0].text.split(". ")) > 1


def test_five_questions_are_answered_by_one_call_each(server: Served) -> None:
    async def ask() -> dict[str, Any]:
        async with mcp_session(server) as session:
            by_endpoint = {tool.endpoint: tool for tool in TOOLS}
            found = {}
            for asked in QUESTIONS:
                result = await session.call_tool(by_endpoint[asked.endpoint].snake_name, dict(asked.parameters))
                assert not result.is_error, result.content
                found[asked.words] = json.loads(result.content[0].text)
            return found

    part = questions_part({tool.endpoint: tool for tool in TOOLS}, asyncio.run(ask()))
    document = MCP.read_text(encoding="utf-8")
    if os.environ.get("MATOKIT_WRITE_GOLDEN"):
        document = QUESTIONS_PART.sub(lambda _: part, document)
        MCP.write_text(document, encoding="utf-8")
    found = QUESTIONS_PART.search(document)
    assert found is not None
    assert found[0] == part


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_protocol_versions(server: Served, version: str) -> None:
    recorded = json.loads((ROOT / "tests/fixtures/opal/mcp-streamable-http.json").read_text())
    case = next(case for case in recorded["cases"] if case["case"] == f"initialize, protocol {version}")
    headers = {**case["request"]["headers"], "authorization": f"Bearer {TOKEN}"}
    answer = server.client.post("/mcp", json=case["request"]["body"], headers=headers)
    assert answer.status_code == 200
    said, right = answer.json()["result"], case["response"]["body"]["result"]
    assert said["protocolVersion"] == version
    assert said["capabilities"] == right["capabilities"]
    assert said["serverInfo"]["name"] == "matokit"


def test_every_document_names_every_tool() -> None:
    text = SAMPLES.read_text(encoding="utf-8")
    assert [tool.name for tool in TOOLS] == re.findall(r"^## (\w+)$", text, re.MULTILINE)


def test_the_guide_is_a_program_that_runs(server: Served, tmp_path: Path) -> None:
    """The Python of docs/mcp.md, as printed."""
    code = re.search(r"```python\n(.*?)```", MCP.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    file = tmp_path / "asking.py"
    file.write_text(code[1].replace(ADDRESS, server.url), encoding="utf-8")
    environ = {**os.environ, "MATOKIT_TOOLSERVER_TOKEN": TOKEN}
    ran = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, timeout=60, env=environ, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("The installer is ")
