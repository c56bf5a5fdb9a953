"""The shipped table of vendor support: which major version its vendor no longer maintains, since when, who says so.

`vendor_support.csv`, kept as docs/vendor-support.md says. A version that is not in it is not known, never unsupported.
Not here: what follows from it (deprecation.py).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

Basis = Literal["vendor", "practice"]
FILE = Path(__file__).with_name("vendor_support.csv")


@dataclass(frozen=True)
class Support:
    """What is known of one major version.

    `ended_on`: the last day of support, None when no end is known. `basis`: `vendor` publishes the day; `practice` is
    what the vendor was seen doing (Apple: the latest three major versions get security updates, so support ends when a
    fourth comes out). `source`: the public page; `as_of`: when it was looked at; `note`: what else to know, may be "".
    """

    ended_on: date | None
    basis: Basis
    source: str
    as_of: date
    note: str

    def has_ended(self, day: date) -> bool:
        """Whether the last day of support is over, or is `day`."""
        return self.ended_on is not None and self.ended_on <= day


@lru_cache(maxsize=1)
def vendor_support() -> Mapping[tuple[str, str], Support]:
    """`(family, major) -> Support` of the shipped table. ValueError when a line of it cannot be read."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return {(row["os_family"], row["major"]): _support(row) for row in csv.DictReader(file)}


def table_date() -> date:
    """When the table was looked through last: the oldest of its lines."""
    return min(one.as_of for one in vendor_support().values())


def _support(row: Mapping[str, str]) -> Support:
    if row["basis"] not in ("vendor", "practice"):
        raise ValueError(f"{FILE.name}: {row['major']}: basis is vendor or practice, not {row['basis']!r}")
    ended_on = date.fromisoformat(row["ended_on"]) if row["ended_on"] else None
    return Support(ended_on, cast(Basis, row["basis"]), row["source"], date.fromisoformat(row["as_of"]), row["note"])
