"""Judging a discovery document as Opal does when a registry is added or synced.

A document with one fault is refused as a whole, and Opal says little about why. Not here: fetching it (cli/), making
ours (opal.py).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})
HINTS = frozenset({"write", "idempotent", "open_world"})
MOST_TOOLS = 128  # an instance's cap on active tools, over all its registries
LONG_DESCRIPTION = 1_024
_PATH = re.compile(r"^/(?!/)(?!.*(^|/)\.\.?(/|$))[^\s?#\\]*$")


@dataclass(frozen=True)
class Finding:
    """`fault`: the registry is refused, or a call fails. `warning`: it works, and is worth mending."""

    kind: Literal["fault", "warning"]
    where: str
    sentence: str


def findings(body: bytes) -> list[Finding]:
    """What is wrong with a document, in its order; empty when nothing is."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return [_fault("document", "is not JSON")]
    if not isinstance(document, dict):
        return [_fault("document", "is not a JSON object")]
    functions = document.get("functions")
    if not isinstance(functions, list):
        return [_fault("functions", "is missing or no list, so the platform rejects the document")]
    found = [one for number, function in enumerate(functions) for one in _of_function(number, function)]
    return [*found, *_of_all([one for one in functions if isinstance(one, dict)]), *_of_top(document, functions)]


def _of_top(document: Mapping[str, Any], functions: list[Any]) -> Iterator[Finding]:
    if not functions:
        yield _warning("functions", "is empty, so there is nothing to call")
    if len(functions) > MOST_TOOLS:
        yield _warning(
            "functions", f"lists {len(functions)} tools; instances have had a cap of {MOST_TOOLS} active ones"
        )
    if "instructions" in document and not _is_text(document["instructions"]):
        yield _fault("instructions", "must be a text that is not blank")


def _of_all(functions: list[dict[str, Any]]) -> Iterator[Finding]:
    for key in ("name", "endpoint"):
        values = [function[key] for function in functions if isinstance(function.get(key), str)]
        for value, times in Counter(values).items():
            if times > 1:
                kind = _fault if key == "name" else _warning
                yield kind(f"functions[].{key}", f'"{value}" is there {times} times')


def _of_function(number: int, function: Any) -> Iterator[Finding]:
    where = f"functions[{number}]"
    if not isinstance(function, dict):
        yield _fault(where, "is no object")
        return
    if _is_text(function.get("name")):
        where = str(function["name"])
    for key in ("name", "description"):
        if not _is_text(function.get(key)):
            yield _fault(f"{where}.{key}", "must be a text that is not blank")
    if len(str(function.get("description") or "")) > LONG_DESCRIPTION:
        yield _warning(f"{where}.description", f"is longer than {LONG_DESCRIPTION} characters; a model reads all of it")
    endpoint = function.get("endpoint")
    if not _is_text(endpoint) or not _PATH.match(str(endpoint)):
        yield _fault(f"{where}.endpoint", 'must be a path below the base of the discovery URL, such as "/tools/x"')
    if str(function.get("http_method")) not in ("POST", "GET"):
        yield _fault(f"{where}.http_method", "must be POST (or GET, which only some clients honour)")
    elif function["http_method"] == "GET":
        yield _warning(f"{where}.http_method", "is GET, which the platform itself does not send")
    hints = function.get("hints", [])
    if not isinstance(hints, list) or not HINTS.issuperset(map(str, hints)):
        yield _fault(f"{where}.hints", f"may hold only {', '.join(sorted(HINTS))}")
    for key, kind in (("mode", str), ("timeout", (int, float)), ("sensitive", bool), ("wait", (int, float, bool))):
        if key in function and not isinstance(function[key], kind):
            yield _warning(f"{where}.{key}", "is of an unexpected type")
    yield from _of_parameters(where, function.get("parameters"))
    yield from _of_requirements(where, function)


def _of_parameters(where: str, parameters: Any) -> Iterator[Finding]:
    if not isinstance(parameters, list):
        yield _fault(f"{where}.parameters", "must be a list, empty for a tool without any")
        return
    names = [parameter.get("name") for parameter in parameters if isinstance(parameter, dict)]
    for name, times in Counter(map(str, names)).items():
        if times > 1:
            yield _fault(f"{where}.parameters", f'"{name}" is there {times} times')
    for number, parameter in enumerate(parameters):
        if not isinstance(parameter, dict):
            yield _fault(f"{where}.parameters[{number}]", "is no object")
            continue
        here = f"{where}.{parameter.get('name') or number}"
        if not _is_text(parameter.get("name")):
            yield _fault(f"{here}.name", "must be a text that is not blank")
        if not _is_text(parameter.get("description")):
            yield _fault(f"{here}.description", "must be a text that is not blank; a null refuses the whole registry")
        if not isinstance(parameter.get("type"), str) or parameter["type"] not in TYPES:
            yield _fault(f"{here}.type", f"must be one of {', '.join(sorted(TYPES))}")
        if not isinstance(parameter.get("required"), bool):
            yield _fault(f"{here}.required", "must be true or false")
        if "schema" in parameter and not isinstance(parameter["schema"], dict):
            yield _fault(f"{here}.schema", "must be a JSON schema, so an object")


def _of_requirements(where: str, function: Mapping[str, Any]) -> Iterator[Finding]:
    if "auth_requirements" not in function:
        return
    wanted = function["auth_requirements"]
    good = isinstance(wanted, list) and all(isinstance(one, dict) and _is_text(one.get("provider")) for one in wanted)
    if not good:
        yield _fault(f"{where}.auth_requirements", "must be a list of objects with a provider")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _fault(where: str, sentence: str) -> Finding:
    return Finding("fault", where, sentence)


def _warning(where: str, sentence: str) -> Finding:
    return Finding("warning", where, sentence)
