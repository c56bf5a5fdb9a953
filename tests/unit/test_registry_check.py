"""A discovery document is judged as Opal judges it: those recorded of three servers, and every fault by itself."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.toolserver.registry_check import findings

FIXTURES = Path(__file__).parents[1] / "fixtures" / "opal"
GOOD: dict[str, Any] = {
    "functions": [
        {
            "name": "GetKeyNumbers",
            "description": "Numbers.",
            "endpoint": "/tools/get-key-numbers",
            "http_method": "POST",
            "hints": [],
            "parameters": [{"name": "siteId", "type": "integer", "description": "The site.", "required": False}],
        }
    ],
    "instructions": "What for.",
}


def faults(document: Any) -> list[str]:
    return [found.where for found in findings(json.dumps(document).encode()) if found.kind == "fault"]


def changed(*path: Any, to: Any) -> Any:
    document = copy.deepcopy(GOOD)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return document


def test_a_good_one() -> None:
    assert findings(json.dumps(GOOD).encode()) == []


def test_the_predecessors_is_good() -> None:
    recorded = json.loads((FIXTURES / "predecessor-discovery.json").read_text())
    document = recorded["cases"][0]["response"]["body"]
    assert findings(json.dumps(document).encode()) == []


@pytest.mark.parametrize("bad", [None, "", "  ", 3, ["string", "null"], {}, ...])
@pytest.mark.parametrize(
    "path",
    [("name",), ("description",), ("endpoint",), ("http_method",), ("parameters",), ("parameters", 0, "name"),
     ("parameters", 0, "description"), ("parameters", 0, "type"), ("parameters", 0, "required")],
)  # fmt: skip
def test_each_rule(path: tuple[Any, ...], bad: Any) -> None:
    assert faults(changed("functions", 0, *path, to=bad))


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "document"),
        ({}, "functions"),
        ({"functions": {}}, "functions"),
        ({"functions": [1]}, "functions[0]"),
        (changed("functions", 0, "endpoint", to="tools/x"), "GetKeyNumbers.endpoint"),
        (changed("functions", 0, "endpoint", to="//elsewhere.example.org/x"), "GetKeyNumbers.endpoint"),
        (changed("functions", 0, "endpoint", to="/tools/../x"), "GetKeyNumbers.endpoint"),
        (changed("functions", 0, "hints", to=["reads"]), "GetKeyNumbers.hints"),
        (changed("functions", to=GOOD["functions"] * 2), "functions[].name"),
        (changed("functions", 0, "parameters", 0, "schema", to="string"), "GetKeyNumbers.siteId.schema"),
        (changed("functions", 0, "auth_requirements", to=[{}]), "GetKeyNumbers.auth_requirements"),
        (changed("instructions", to=""), "instructions"),
    ],
)
def test_other_faults(document: Any, where: str) -> None:
    assert faults(document)[0] == where


def test_too_many_tools_are_worth_a_warning() -> None:
    tool = GOOD["functions"][0]
    many = [{**tool, "name": f"T{number}", "endpoint": f"/tools/{number}"} for number in range(129)]
    assert [found.kind for found in findings(json.dumps({"functions": many}).encode())] == ["warning"]


@given(st.binary(max_size=100))
def test_anything_is_judged(body: bytes) -> None:
    assert isinstance(findings(body), list)
