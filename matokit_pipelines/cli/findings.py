"""What a check of `doctor` finds. Not here: any check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from matokit_pipelines.errors import FINE, MatokitError

State = Literal["good", "note", "failed"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do if it is not good."""

    state: State
    what: str
    sentence: str
    exit_code: int = FINE

    @property
    def mark(self) -> str:
        return {"good": "ok", "note": "note", "failed": "FAIL"}[self.state]


def guarded(what: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings; what one of the checks is refused becomes the last of them, so that others still run."""
    try:
        yield from findings
    except MatokitError as error:
        yield Finding("failed", what, str(error), error.exit_code)
