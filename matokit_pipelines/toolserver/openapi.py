"""The OpenAPI document of the tools: for people, for generated clients, and for those who try to break the server.

Not here: the discovery document (opal.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from matokit_pipelines import __version__
from matokit_pipelines.toolserver.mcp_face import input_schema
from matokit_pipelines.toolserver.opal import INSTRUCTIONS
from matokit_pipelines.toolserver.tools import Tool

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What went wrong, in one sentence."},
        "type": {"type": "string", "description": "Its category."},
        "guidance": {"type": "string", "description": "What to do."},
        "code": {"type": "integer", "description": "Matomo's number of the error."},
        "retryAfter": {"type": "number", "description": "Seconds after which to try again."},
    },
}
_STATUSES = {
    400: "An argument or the body is wrong.",
    401: "No token, or one that is not known.",
    403: "The configured token may not view that site, or the origin is not allowed.",
    405: "Another method than those described here.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    421: "The host name is not allowed.",
    429: "Too many calls a minute.",
    500: "A defect of matokit.",
    502: "The upstream server refused, failed, or answered something else.",
    503: "Too many calls at once, or no tables yet; see Retry-After.",
    504: "Not answered in time.",
}


def openapi(tools: Iterable[Tool[Any]]) -> dict[str, Any]:
    """The document, version 3.1."""
    definitions: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    for tool in tools:
        paths[tool.endpoint] = {"post": _operation(tool, definitions)}
        if tool.also_get:
            paths[tool.endpoint]["get"] = _by_query(tool, definitions)
    paths["/discovery"] = {"get": _open("discovery", "Opal's discovery document.")}
    paths["/healthz"] = {"get": _open("healthz", "Whether the process is up.")}
    paths["/readyz"] = {"get": _open("readyz", "Whether it can answer.", 503)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "matokit tool server", "version": __version__, "description": INSTRUCTIONS},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": definitions,
        },
        "paths": paths,
    }


def _operation(tool: Tool[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    arguments = _moved(input_schema(tool), definitions)
    needed = bool(arguments.get("required"))
    inner = arguments if needed else {"anyOf": [arguments, {"type": "null"}]}
    body: dict[str, Any] = {"type": "object", "properties": {"parameters": inner}}
    if needed:
        body["required"] = ["parameters"]
    return {
        **_described(tool, definitions),
        "operationId": tool.snake_name,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
    }


def _by_query(tool: Tool[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = input_schema(tool)
    required = schema.get("required", [])
    return {
        **_described(tool, definitions),
        "operationId": f"{tool.snake_name}_by_get",
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": entry}
            for name, entry in schema.get("properties", {}).items()
        ],
    }


def _described(tool: Tool[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    result = TypeAdapter(tool.result).json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    return {
        "tags": [tool.group],
        "summary": tool.name,
        "description": tool.description,
        "security": [{"token": []}],
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {"application/json": {"schema": _moved(result, definitions)}},
            },
            **{str(status): _problem(words) for status, words in _STATUSES.items()},
        },
    }


def _problem(words: str) -> dict[str, Any]:
    return {
        "description": words,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _open(name: str, words: str, *further: int) -> dict[str, Any]:
    answers = {str(status): {"description": words} for status in (200, 421, *further)}
    return {"operationId": name, "summary": words, "responses": answers}


def _moved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema without its own definitions, which all tools share."""
    definitions.update(schema.pop("$defs", {}))
    return schema
