"""Names in the facts of a page: which have a place of their own, how long ones are cut, which rows only leaders need.

Frames of counts in, frames with indices out. Not here: reading the snapshot, and what the counts mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

LONGEST = 200  # characters of a name on a page; the CSV keeps names whole
ANY = -1  # in a column of indices: all of them together
ERROR_TYPES = 40
SYSTEM = ("architecture", "os")
# what a reader may choose of a system: nothing, one of the two, both
CHOICES: tuple[tuple[str, ...], ...] = ((), ("architecture",), ("os",), SYSTEM)


@dataclass(frozen=True)
class Limits:
    """How many names have a place of their own; the others are counted together. More than `rows` are not tried, since
    they would not fit a page; None: whatever there is."""

    releases: int
    components: int
    commits: int
    rows: int | None = 250_000


@dataclass(frozen=True)
class Made:
    """Tables of one page, and what their indices stand for beside the systems."""

    tables: Mapping[str, pl.DataFrame]
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.height for table in self.tables.values())


def shortened(names: Sequence[str]) -> list[str]:
    """The names, those longer than 200 characters cut; a cut name that is there already gets a number."""
    whole = {name for name in names if len(name) <= LONGEST}
    taken, shown = set(whole), []
    for name in names:
        text, number = name, 1
        if len(name) > LONGEST:
            text = name[: LONGEST - 1] + "…"
            while text in taken:
                number += 1
                ending = f"… ({number})"
                text = name[: LONGEST - len(ending)] + ending
            taken.add(text)
        shown.append(text)
    return shown


def indexed(rows: pl.DataFrame, column: str, names: Sequence[str], missing: int) -> pl.DataFrame:
    """The rows with the place of each name instead of it; `missing` for a name that is not there."""
    places = pl.DataFrame(
        {column: list(names), "place": list(range(len(names)))}, schema={column: pl.String, "place": pl.Int64}
    )
    found = rows.join(places, on=column, how="left", maintain_order="left")
    return found.with_columns(pl.col("place").fill_null(missing).alias(column)).drop("place")


def placed(rows: pl.DataFrame, within: Sequence[str], by: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    """The rows with `place`: 0 for the largest `by` (then the next of them, then the names) of each group `within`."""
    ordered = rows.sort([*by, *names], descending=[True] * len(by) + [False] * len(names))
    if not within:
        return ordered.with_columns(pl.int_range(pl.len()).alias("place"))
    return ordered.with_columns(pl.int_range(pl.len()).over(within).alias("place"))


def added(rows: pl.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pl.DataFrame:
    """Sums of the values by key, in no order."""
    return rows.group_by(keys).agg(pl.col(value).sum() for value in values)


def leaders(rows: pl.DataFrame, within: Sequence[str], by: str, name: str, most: int) -> list[pl.DataFrame]:
    """For each choice of a system the names that lead it: rows of the choice's keys and the name."""
    found = []
    for choice in CHOICES:
        keys = [*within, *choice]
        sums = added(rows, [*keys, name], [by]).filter(pl.col(by) > 0)
        found.append(placed(sums, keys, [by], [name]).filter(pl.col("place") < most).select(*keys, name))
    return found


def beyond(rows: pl.DataFrame, within: Sequence[str], name: str) -> pl.DataFrame:
    """How many different names the rows hold for each choice of a system (`ANY` where nothing is chosen)."""
    found = []
    for choice in CHOICES:
        chosen = rows.with_columns(pl.lit(ANY, pl.Int64).alias(column) for column in SYSTEM if column not in choice)
        keys = [*within, *SYSTEM]
        found.append(chosen.group_by(keys).agg(pl.col(name).n_unique().cast(pl.Int64).alias("names")))
    return pl.concat(found).sort(*within, *SYSTEM)
