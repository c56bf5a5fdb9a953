"""Which versions fail more than all the others together, by more than chance, at the same mix of components.

Counts in, verdicts out; the guard of the alert rules on first tries (comparison.py). Not here: what is shown of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from matokit_pipelines.reports.comparison import (
    MIN_FAILING_MACHINES,
    Tally,
    Verdict,
    counted,
    verdicts_of_mixed_rows,
)
from matokit_pipelines.reports.monthly.queries import ALL, Counts, Part, System
from matokit_pipelines.statistics import ENOUGH_UNITS, expected_share

Key = TypeVar("Key", bound=Hashable)
Components = Mapping[str, Counts]  # component, `all` included -> counts


@dataclass(frozen=True)
class Judged:
    """One version against all others: `tries` of which `failed` on first try, and the share that the others' components
    give at this version's mix. `verdict`: worse only with failures on two machines."""

    verdict: Verdict
    chance: float | None
    tries: int
    failed: int
    expected: float | None

    @property
    def excess(self) -> float:
        """Failed first tries beyond those expected."""
        return self.failed - self.tries * (self.expected or 0.0)


def pooled(part: Part, key: Callable[[System], Key]) -> dict[Key, dict[str, Counts]]:
    """The segments of a part put together by `key`, each component on its own."""
    found: dict[Key, dict[str, Counts]] = {}
    for system, components in part.items():
        into = found.setdefault(key(system), {})
        for name, counts in components.items():
            into[name] = into.get(name, Counts()) + counts
    return found


def whole(parts: Iterable[Components]) -> dict[str, Counts]:
    """All versions together, each component on its own."""
    found: dict[str, Counts] = {}
    for components in parts:
        for name, counts in components.items():
            found[name] = found.get(name, Counts()) + counts
    return found


def tallies(components: Components) -> dict[str, Tally]:
    """As the guard reads them; without the sum over all components."""
    return {name: _tally(counts) for name, counts in components.items() if name != ALL}


def against_others(versions: Mapping[Key, Components], *, shared_keys: bool) -> dict[Key, Judged]:
    """A verdict for each version against all others; versions with fewer than ten tries are "too few"."""
    total = tallies(whole(versions.values()))
    own = {name: tallies(components) for name, components in versions.items()}
    rows = {
        name: (parts, _without(total, parts))
        for name, parts in own.items()
        if _tries(parts, shared_keys)[0] >= ENOUGH_UNITS
    }
    verdicts = verdicts_of_mixed_rows(rows, shared_keys=shared_keys)
    found = {}
    for name, parts in own.items():
        tries, failed = _tries(parts, shared_keys)
        word, how_likely = verdicts.get(name, ("too few", None))
        expected = _expected(*rows[name], shared_keys) if name in rows else None
        failing = versions[name].get(ALL, Counts()).machines_failing
        if word == "worse" and not shared_keys and failing < MIN_FAILING_MACHINES:
            word = "could be chance"
        found[name] = Judged(word, how_likely, tries, failed, expected)
    return found


def _tally(counts: Counts) -> Tally:
    return Tally(counts.events, counts.failures, counts.units, counts.unit_failures, counts.machines_failing)


def _without(total: Mapping[str, Tally], own: Mapping[str, Tally]) -> dict[str, Tally]:
    nothing = Tally()
    return {
        name: Tally(
            all_of.events - mine.events,
            all_of.failures - mine.failures,
            all_of.units - mine.units,
            all_of.unit_failures - mine.unit_failures,
            all_of.machines_failing - mine.machines_failing,
        )
        for name, all_of in total.items()
        for mine in (own.get(name, nothing),)
    }


def _tries(parts: Mapping[str, Tally], shared_keys: bool) -> tuple[int, int]:
    found = [counted(tally, shared_keys=shared_keys) for tally in parts.values()]
    return sum(one.units for one in found), sum(one.failures for one in found)


def _expected(seen: Mapping[str, Tally], base: Mapping[str, Tally], shared_keys: bool) -> float | None:
    tries = {name: counted(tally, shared_keys=shared_keys).units for name, tally in seen.items()}
    return expected_share(tries, {name: counted(tally, shared_keys=shared_keys) for name, tally in base.items()})
