"""Pages of Matomo's visit log: how many visits a page holds and when each of them ended, mostly without parsing it.

Pure. Not here: asking (matomo.py), rows out of visits (matomo_visits.py, many pages at once warehouse/matomo_pages.py).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_END = re.compile(rb'"lastActionTimestamp":(\d{1,18})[,}]')


class BrokenPage(ValueError):
    """A page whose frame was right and which is no JSON within."""


@dataclass(frozen=True)
class Page:
    """One page: the JSON array of its visits, as it came.

    `ends`: when each visit's last action was, UTC seconds since 1970, in the order of the page; None where the visit
    does not say. `uniform`: the page is written exactly as Matomo does, and nobody has parsed more than its last visit.
    """

    body: bytes = field(repr=False)
    ends: tuple[int | None, ...]
    uniform: bool

    def __len__(self) -> int:
        return len(self.ends)

    def visits(self) -> list[Any]:
        """What the array holds, parsed: more than `ends` where a uniform page holds objects that are no visits.

        Raises BrokenPage.
        """
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BrokenPage("half a document") from error
        if not isinstance(found, list):
            raise BrokenPage("no list")
        return found


def page_in(body: bytes) -> Any:
    """The page that an answer holds, or what else it holds, parsed. Raises ValueError or RecursionError: no JSON."""
    ends = _ends_of_uniform(body)
    if ends is not None:
        return Page(body, ends, True)
    found = json.loads(body)
    return Page(body, tuple(map(_end_of, found)), False) if isinstance(found, list) else found


def _ends_of_uniform(body: bytes) -> tuple[int, ...] | None:
    """The ends of the visits of a page that is `[{"idVisit":...},...]` without white space; None of any other.

    A quote inside a text has a backslash before it, so no mark looked for can be part of a text. The last visit is
    parsed: an answer that broke off never holds it whole.
    """
    opening = body[1 : body.find(b'":', 3) + 2]  # the first key of the first visit begins every visit
    if not opening.startswith(b'{"') or not body.startswith(b"[") or not body.endswith(b"}]"):
        return None
    ends = tuple(map(int, _END.findall(body)))
    if len(ends) != body.count(b"}," + opening) + 1:
        return None
    try:
        last = json.loads(body[body.rfind(opening) : -1])
    except (ValueError, RecursionError):
        return None
    return ends if isinstance(last, dict) and last.get("lastActionTimestamp") == ends[-1] else None


def _end_of(visit: Any) -> int | None:
    try:
        return int(visit["lastActionTimestamp"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
