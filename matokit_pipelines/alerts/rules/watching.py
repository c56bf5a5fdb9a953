"""Which components a rule looks at, and at which ticks: the rows of its findings. Not here: any rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matokit_pipelines.alerts.findings import Rows
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.warehouse.event_columns import Events, Ints

ROWS_AT_EASE = 200_000  # so many rows cost less than finding out which of them could be left out


def rows_by_component(events: Events, ticks: Ints, reach: int, edges: Sequence[int]) -> Rows:
    """Rows of all components with an event in the last `reach` microseconds before a tick.

    A row a tick where events are many; where they are few, a row spans the ticks over which no event comes into or
    leaves one of the windows whose edges lie `edges` microseconds before the tick. So a flood of invented names
    costs as much as its events, not names times ticks.
    """
    names, count = len(events.components), len(ticks)
    part = events.window(int(ticks[0]) - max(edges), int(ticks[-1]))
    size = part.stop - part.start
    if names * count <= max(ROWS_AT_EASE, size * len(edges)):
        code, first = np.repeat(np.arange(names, dtype=np.int64), count), np.tile(np.arange(count), names)
        last = first
    else:
        code, first, last = _where_something_changes(events, part, ticks, edges)
    seen, _ = events.counts_by_component(code, ticks[first] - reach, ticks[first])
    there = seen > 0
    return Rows(subjects_of(events.components), code[there], first[there], last[there])


def _where_something_changes(events: Events, part: slice, ticks: Ints, edges: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """(component, first tick, last tick): stretches of ticks over which the windows hold the same events."""
    count, component = len(ticks), events.component[part].astype(np.int64)
    cells = [np.unique(component) * count]
    for edge in edges:  # an event comes in at, or is gone from, the first tick that is later than this
        tick = np.searchsorted(ticks, events.ts[part] + edge, side="right")
        cells.append((component * count + tick)[tick < count])
    cell = np.unique(np.concatenate(cells))
    code, first = cell // count, cell % count
    is_newest = np.concatenate([code[1:] != code[:-1], [True]]) if len(code) else np.zeros(0, dtype=np.bool_)
    last = np.where(is_newest, count - 1, np.concatenate([first[1:], [0]]) - 1) if len(code) else first
    return code, first, last


def subjects_of(components: Sequence[str]) -> tuple[str, ...]:
    """Components as subjects; one that is named like the subject of everything is told apart."""
    return tuple(f"component_{name}" if name == ALL else name for name in components)
