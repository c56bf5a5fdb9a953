"""The readers as they are published: the predecessor's names and parameters, described so that a model can use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from matokit_pipelines.toolserver.parameters import published_type, read
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.toolserver.tools import Tool
from matokit_pipelines.toolserver.web.tools import WEB_TOOLS

OPAL = Path(__file__).parents[1] / "fixtures" / "opal"
THEIRS: dict[str, dict[str, Any]] = {
    function["name"]: function
    for function in json.loads((OPAL / "predecessor-discovery.json").read_text())["cases"][0]["response"]["body"][
        "functions"
    ]
}
FEATURES = [
    "keyNumbers", "keyNumbersHistorical", "popularUrls", "topReferrers", "entryPages", "campaigns", "ecommerceOverview",
    "ecommerceRevenueTotals", "trafficChannels", "goalConversions", "events", "eventCategories", "deviceTypes",
]  # fmt: skip
OURS = {"fresh": "boolean", "compare": "string"}


def test_all_thirteen_in_the_predecessors_order() -> None:
    readers = [name for name, function in THEIRS.items() if function["endpoint"].startswith("/tools/get-")]
    assert [tool.name for tool in WEB_TOOLS] == [name for name in readers if name != "GetHealthStatus"]
    assert [tool.feature for tool in WEB_TOOLS] == FEATURES


@pytest.mark.parametrize("tool", WEB_TOOLS, ids=lambda tool: tool.name)
def test_parameters(tool: Tool[Any]) -> None:
    theirs = THEIRS[tool.name]
    assert tool.endpoint == theirs["endpoint"]
    fields = tool.parameters.model_fields
    published = {name: published_type(field) for name, field in fields.items()}
    assert published == {one["name"]: one["type"] for one in theirs["parameters"]} | OURS
    assert not any(field.is_required() for field in fields.values())
    for name, field in fields.items():
        assert field.description, name
        assert "default" in field.description, name


@pytest.mark.parametrize("tool", WEB_TOOLS, ids=lambda tool: tool.name)
def test_descriptions(tool: Tool[Any]) -> None:
    said = tool.description
    assert 2 <= said.replace('?"', "").count(". ") + 1 <= 5
    assert "Default: " in said
    assert said.isascii()
    assert said not in [function["description"] for function in THEIRS.values()]
    schema = TypeAdapter(tool.result).json_schema()
    row = schema.get("$defs", {}).get(schema.get("items", {}).get("$ref", "").split("/")[-1], schema)
    assert all(one.get("description") for one in row["properties"].values())


@pytest.mark.parametrize(
    ("name", "sent", "seen"),
    [
        ("limit", "25", 25),
        ("limit", None, 10),
        ("siteId", 3, "3"),
        ("siteId", "Docs", "Docs"),
        ("fresh", "false", False),
        ("period", "", "day"),
        ("segment", " deviceType==desktop ", "deviceType==desktop"),
    ],
)
def test_what_a_model_may_send(name: str, sent: Any, seen: Any) -> None:
    tool = next(tool for tool in WEB_TOOLS if tool.name == "GetMostPopularUrls")
    assert getattr(read(tool.parameters, {name: sent}), name) == seen


@pytest.mark.parametrize(("name", "sent"), [("limit", 1001), ("limit", True), ("compare", "next"), ("fresh", "maybe")])
def test_what_is_refused(name: str, sent: Any) -> None:
    tool = next(tool for tool in WEB_TOOLS if tool.name == "GetMostPopularUrls")
    with pytest.raises(Problem) as refusal:
        read(tool.parameters, {name: sent})
    assert name in refusal.value.message
