"""One call of each tool, as a curl line and as MCP arguments, and the documents that are made of the answers.

Run by tests/integration/test_tool_clients.py; MATOKIT_WRITE_GOLDEN=1 writes the documents anew. Not here: the home
that answers (sample_home.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matokit_pipelines.cli.demo_serve import QUESTIONS, Asked
from matokit_pipelines.toolserver.tools import Tool

ROOT = Path(__file__).parents[1]
ADDRESS = "http://127.0.0.1:4000"
SHOWN = 2  # items of a list; the others are counted
LONGEST = 400  # characters of a text
WEEK = {"period": "week", "date": "2026-11-09"}
# What is asked in the samples, by tool; {} is a call without any argument.
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "GetKeyNumbers": {**WEEK, "compare": "previous"},
    "GetKeyNumbersHistorical": {"period": "day", "date": "2026-11-18,2026-11-20"},
    "GetMostPopularUrls": {**WEEK, "limit": 3},
    "GetTopReferrers": {**WEEK, "limit": 3},
    "GetEntryPages": {**WEEK, "limit": 2},
    "GetCampaigns": WEEK,
    "GetEcommerceOverview": WEEK,
    "GetEcommerceRevenue": {"period": "day", "date": "2026-11-18,2026-11-20", "includeSeries": True},
    "GetTrafficChannels": {**WEEK, "channelType": "search"},
    "GetGoalConversions": WEEK,
    "GetEvents": {**WEEK, "category": "Download"},
    "GetEventCategories": WEEK,
    "GetDeviceTypes": WEEK,
    "TrackPageview": {"url": "https://get.example.org/", "actionName": "Start", "pvId": "a1b2c3"},
    "TrackEvent": {"category": "Download", "action": "Click", "name": "windows", "idempotencyKey": "sample-1"},
    "TrackGoal": {"goalId": 1, "revenue": 10.5},
    "GetInstallerSuccessRate": {"by": "component", "limit": 3},
    "GetComponentHealth": {"component": "python_install", "compare": "previous"},
    "GetErrorTypes": {"limit": 3},
    "GetDurations": {"limit": 2},
}


def curl_line(endpoint: str, arguments: Mapping[str, Any]) -> str:
    """The line as a person types it, the token in $TOKEN."""
    body = json.dumps({"parameters": dict(arguments)})
    return (
        f'curl -s {ADDRESS}{endpoint} -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )


def sample_document(tools: list[Tool[Any]], answers: Mapping[str, Any]) -> str:
    """docs/sample-responses.md: each tool, its line, its answer."""
    parts = [
        "# One call of each tool",
        "",
        "Made by a test from a made-up home; of a list the first two items are shown. `TOKEN` holds the token of the "
        "server:",
        "",
        "```sh\nexport TOKEN=$MATOKIT_TOOLSERVER_TOKEN\n```",
    ]
    for tool in tools:
        shown = json.dumps(shortened(answers[tool.name]), indent=1, ensure_ascii=False)
        parts += ["", f"## {tool.name}", "", tool.description, ""]
        parts += ["```sh", curl_line(tool.endpoint, ARGUMENTS.get(tool.name, {})), "```", "", "```json", shown, "```"]
    return "\n".join(parts) + "\n"


def questions_part(tools: Mapping[str, Tool[Any]], answers: Mapping[str, Any]) -> str:
    """The part of docs/mcp.md that shows the five questions."""
    parts: list[str] = []
    for asked in QUESTIONS:
        tool = tools[asked.endpoint]
        call = f"{tool.snake_name} {json.dumps(dict(asked.parameters))}"
        parts += [f"### {asked.words}", "", f"`{call}`", "", _told(asked, answers[asked.words]), ""]
    return "\n".join(parts)


def _told(asked: Asked, answer: Any) -> str:
    if isinstance(answer, dict):
        return f"> {answer['summary']}"
    rows = [f"| {row['label']} | {row['nb_hits']} | {(row['previous'] or {}).get('nb_hits')} |" for row in answer]
    return "\n".join(["| page | views | the week before |", "|---|---|---|", *rows])


def shortened(value: Any) -> Any:
    """The value with long lists and texts cut, so that a page of it can be read."""
    if isinstance(value, dict):
        return {key: shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        left = len(value) - SHOWN
        return [*map(shortened, value[:SHOWN]), *([f"… {left} more"] if left > 0 else [])]
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST] + " …"
    return value
