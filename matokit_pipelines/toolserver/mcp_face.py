"""The Model Context Protocol's face: the same tools at `/mcp`, by the official SDK, stateless, answers as JSON.

Not here: who may come in (gate.py: token, host and origin are checked before), calling (calling.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from pydantic import ValidationError
from pydantic_core import from_json

from matokit_pipelines import __version__
from matokit_pipelines.toolserver.calling import Caller
from matokit_pipelines.toolserver.opal import INSTRUCTIONS, problem_bytes
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.wire import (
    CLOSE,
    JSON,
    SECURITY,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    body_of,
    header,
)

Observe = Callable[[str, int, float], None]
_OURS = frozenset(name for name, _ in SECURITY)


class McpFace:
    """The ASGI application of `/mcp`. It answers only inside `running`."""

    def __init__(self, tools: Iterable[Tool[Any]], caller: Caller, observe: Observe, *, largest_body: int) -> None:
        self._tools = {tool.snake_name: tool for tool in tools}
        self._caller = caller
        self._observe = observe
        self._largest_body = largest_body
        self._listed = types.ListToolsResult(tools=[_listed(tool) for tool in self._tools.values()])
        server: Server[Any] = Server(
            "matokit",
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )
        self._manager = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=largest_body
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the block runs requests are answered; once only."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _body(scope, receive, self._largest_body)
        except Problem as problem:
            headers: list[Header] = [JSON]
            if problem.status == 405:
                headers.append((b"allow", b"POST"))
            elif problem.status == 408:
                headers.append(CLOSE)
            await answer(send, problem.status, problem_bytes(problem), headers)
            return
        if fault := _fault_of(body):
            refusal = types.JSONRPCError(jsonrpc="2.0", id=None, error=fault)
            await answer(send, 400, refusal.model_dump_json(by_alias=True, exclude_unset=True).encode())
            return
        await self._manager.handle_request(scope, _replayed(body, receive), _secured(send))

    async def _list(self, context: Any, params: Any) -> types.ListToolsResult:
        return self._listed

    async def _call(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            return _error(
                Problem("not-found", f"There is no tool {params.name[:64]}.", "List the tools with tools/list.")
            )
        began = time.perf_counter()
        try:
            made = await self._caller.call(tool, params.arguments or {})
        except Problem as problem:
            self._observe(tool.name, problem.status, time.perf_counter() - began)
            return _error(problem)
        self._observe(tool.name, 200, time.perf_counter() - began)
        value = json.loads(made.body)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=made.body.decode())],
            structured_content=value if isinstance(value, dict) else {"result": value},
        )


async def _body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body of a message, within the bounds of every body; Problem for what is no message by its head."""
    if scope["method"] != "POST":  # without sessions there is nothing to listen to, and nothing to end
        raise Problem("client", "MCP is asked by POST.", "Send each message as a POST request.", status=405)
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Problem("client", "The body is not told to be JSON.", "Send content-type: application/json.", status=415)
    return await body_of(scope, receive, most)


def _fault_of(body: bytes) -> types.ErrorData | None:
    """Why this is no message, as JSON-RPC tells it; the SDK would tell it in its validator's words."""
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError:
        return types.ErrorData(code=types.PARSE_ERROR, message="The body is not JSON.")
    if not isinstance(found, dict):
        told = "A message is one JSON object; a list of messages is not taken."
        return types.ErrorData(code=types.INVALID_REQUEST, message=told)
    try:
        types.jsonrpc_message_adapter.validate_python(found, by_name=False)
    except ValidationError:
        told = "This is no message of JSON-RPC 2.0, which has jsonrpc, method and, for an answer, id."
        return types.ErrorData(code=types.INVALID_REQUEST, message=told)
    return None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What the SDK receives: the body that was read, then whatever comes."""
    read: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return read.pop() if read else await receive()

    return again


def _secured(send: Send) -> Send:
    """What the SDK answers, with the security headers of every answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [one for one in message.get("headers", []) if one[0].lower() not in _OURS]
            message["headers"] = [*own, *SECURITY]
        await send(message)

    return sending


def _error(problem: Problem) -> types.CallToolResult:
    text = f"{problem.message.rstrip('.')}. {problem.guidance}"
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)


def _listed(tool: Tool[Any]) -> types.Tool:
    return types.Tool(
        name=tool.snake_name,
        title=tool.name,
        description=tool.description,
        input_schema=input_schema(tool),
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.writes,
            destructive_hint=False,
            idempotent_hint=not tool.writes or "idempotent" in tool.hints,
            open_world_hint="open_world" in tool.hints,
        ),
    )


def input_schema(tool: Tool[Any]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, without the titles that tell nothing."""
    schema: dict[str, Any] = tool.parameters.model_json_schema()
    schema.pop("title", None)
    schema.pop("description", None)  # of the class, not of the tool
    for entry in schema.get("properties", {}).values():
        entry.pop("title", None)
        entry.pop("published", None)
    return schema
