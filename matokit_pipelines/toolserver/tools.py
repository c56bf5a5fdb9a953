"""What a tool is: a name, an address, typed parameters, a typed result, and the function that makes it.

The same tool is served to Opal and to MCP clients. Not here: any tool (registry.py lists them), the faces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Parameters

P = TypeVar("P", bound=Parameters)
Hint = Literal["write", "idempotent", "open_world"]
Group = Literal["web", "installer", "health", "tracking"]
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Answer:
    """What a tool answers: any JSON value. `as_of`: the moment it is true of, UTC; None where it is of now."""

    value: Any
    as_of: datetime | None = None


@dataclass(frozen=True)
class Tool(Generic[P]):
    """One tool. `function` runs in a worker thread and raises Problem or MatokitError.

    result: a pydantic model, or a list of one; what `function` answers fits it (held by tests). feature: its name in
    the cache; None: never cached. uses_tables: its answers end with the snapshot they were made of.
    """

    name: str
    endpoint: str
    group: Group
    description: str
    parameters: type[P]
    result: Any
    function: Callable[[Kit, P], Answer]
    feature: str | None = None
    uses_tables: bool = True
    hints: tuple[Hint, ...] = ()
    also_get: bool = False

    @property
    def snake_name(self) -> str:
        """The name that MCP clients see: get_key_numbers."""
        return _WORD.sub("_", self.name).lower()

    @property
    def writes(self) -> bool:
        return "write" in self.hints
