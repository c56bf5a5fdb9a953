"""Opal's face: the discovery document, what a call's body means, what an error looks like.

The protocol is one GET and a POST a tool. Not here: routes (app.py), calling (calling.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from matokit_pipelines.toolserver.parameters import choices, published_type
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.toolserver.tools import Tool

INSTRUCTIONS = (
    "Numbers about whether the software this team hands out installs: success rates by component, system, "
    "architecture and commit, alerts and reports, and the web statistics of its sites. Counts come before rates, rates "
    "are shares from 0 to 1 unless they are texts with a percent sign, times are UTC. Say `as_of` with every number, "
    "and repeat `summary` where an answer has one."
)
_NOT_AN_OBJECT = refused(
    "The body must be a JSON object.", 'Send {"parameters": {...}} with Content-Type: application/json.'
)


def discovery(tools: Iterable[Tool[Any]]) -> dict[str, Any]:
    """The discovery document: public, the same for everyone, without anything of this site."""
    return {"functions": [_function(tool) for tool in tools], "instructions": INSTRUCTIONS}


def discovery_bytes(tools: Iterable[Tool[Any]]) -> bytes:
    """The document as it goes over the wire."""
    return json.dumps(discovery(tools), ensure_ascii=False, separators=(",", ":")).encode()


def _function(tool: Tool[Any]) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": [_parameter(name, field) for name, field in tool.parameters.model_fields.items()],
        "endpoint": tool.endpoint,
        "http_method": "POST",
        "hints": list(tool.hints),
    }


def _parameter(name: str, field: Any) -> dict[str, Any]:
    made = {
        "name": field.alias or name,
        "type": published_type(field),
        "description": field.description,
        "required": field.is_required(),
    }
    if values := choices(field):
        made["schema"] = {"type": made["type"], "enum": list(values)}
    return made


def arguments_in(body: bytes) -> Mapping[str, Any]:
    """The arguments in the body of a call; Problem 400 for what is no JSON object.

    A body without `parameters` is the parameters themselves; null and no body at all are no parameters.
    """
    if not body.strip():
        return {}
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise refused("The body is not JSON.", _NOT_AN_OBJECT.guidance) from None
    if not isinstance(found, dict):
        raise refused(_NOT_AN_OBJECT.message, _NOT_AN_OBJECT.guidance)
    inner = found.get("parameters", found)
    if inner is None:
        return {}
    if not isinstance(inner, dict):
        raise refused("parameters must be an object.", _NOT_AN_OBJECT.guidance)
    return inner


def problem_bytes(problem: Problem) -> bytes:
    """An error as the caller sees it."""
    return json.dumps(problem.body(), ensure_ascii=False).encode()
