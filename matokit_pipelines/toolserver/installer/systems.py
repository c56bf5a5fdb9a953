"""GetArchitectureCompatibility and GetOsCompatibility: does the installer work on each system as well as on the others?

Each part is held against all others that are known, with the same components. Not here: new versions' months (reports).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field

from matokit_pipelines.reports.comparison import (
    MIN_FAILING_MACHINES,
    SMALL_NUMBER,
    Tally,
    Verdict,
    verdicts_of_mixed_rows,
)
from matokit_pipelines.statistics import rate
from matokit_pipelines.toolserver.installer.answering import Call, call
from matokit_pipelines.toolserver.installer.asking import COMPONENT, LIMIT, SpanParameters
from matokit_pipelines.toolserver.installer.counting import (
    By,
    Counts,
    Cut,
    by_component,
    compared,
    counts,
    figures,
    fitted,
    summed,
)
from matokit_pipelines.toolserver.installer.names import component_of
from matokit_pipelines.toolserver.installer.shapes import Compared, OfSpan, Word
from matokit_pipelines.toolserver.installer.words import count, joined, many, percent, shown
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Whole
from matokit_pipelines.toolserver.tools import Answer

UNKNOWN = "unknown"
NEW_FOR = timedelta(days=7)
Judged = tuple[Verdict, float | None]


class SystemParameters(SpanParameters):
    """Which days, and which component."""

    days: Whole = Field(
        30, ge=1, le=90, description="How many days, 1 to 90; they end with the last complete day, or with toDate. "
        "Default 30."
    )  # fmt: skip
    component: str | None = Field(None, description=COMPONENT)
    limit: Whole = Field(10, ge=1, le=50, description=LIMIT.format(10))


class SystemRow(Compared):
    """One architecture or release beside all others that are known."""

    name: str = Field(description="The architecture, or the release of the operating system.")
    share_of_events: float | None = Field(description="Its events / all events, 0 to 1.")
    others_success_rate: float | None = Field(description="Success rate of all others that are known, 0 to 1.")
    gap_points: float | None = Field(description="Success rate less that of the others, percentage points.")
    against_others: Word = Field(
        description="worse or better than the others by more than chance, with the same mix of components; could be "
        "chance; too few: under ten first tries on a side."
    )
    worst_component: str | None = Field(description="The component with most failures there; null without failures.")
    worst_component_failures: int = Field(description="Its failures there.")


class ReleaseRow(SystemRow):
    """A release of an operating system."""

    family: str = Field(description="macOS, Linux, Windows or unknown.")
    first_seen: str | None = Field(description="First counted event ever in this environment, ISO 8601, UTC.")
    is_new: bool = Field(description="Whether that was in the last 7 of these days.")


class Architectures(OfSpan):
    """Answer of GetArchitectureCompatibility."""

    component: str | None = Field(description="The component that was asked for; null: all together.")
    rows: list[SystemRow] = Field(description="Architectures, most events first.")


class Releases(OfSpan):
    """Answer of GetOsCompatibility."""

    component: str | None = Field(description="The component that was asked for; null: all together.")
    rows: list[ReleaseRow] = Field(description="Releases, those worse than the others first, then most events.")


def architectures(kit: Kit, asked: SystemParameters) -> Answer:
    """Each architecture beside the others."""
    with call(kit, asked) as it:
        cut = Cut(asked.environment, component_of(asked.component, it.ground))
        rows = _rows(it, counts(it.reader, it.ground, cut, "architecture", it.span, it.since))
        return _answer(it, asked, cut, rows, "architecture")


def releases(kit: Kit, asked: SystemParameters) -> Answer:
    """Each release of an operating system beside the others."""
    with call(kit, asked) as it:
        cut = Cut(asked.environment, component_of(asked.component, it.ground))
        by: By = "os_release"
        rows = _rows(it, counts(it.reader, it.ground, cut, by, it.span, it.since))
        seen = {
            row["os_release"]: row
            for row in reversed(it.ground.first_seen)  # of several environments the first
            if cut.environment in ("all", row["environment"])
        }
        known_from = it.ground.first_day
        since = max(it.span.first, it.span.last - NEW_FOR + timedelta(days=1))
        for row in rows:
            first = seen.get(row["release"])
            date = first["first_date"] if first else None
            # what was there when records began is not new
            row["is_new"] = date is not None and date >= since and known_from is not None and date > known_from
            row["family"] = first["os_family"] if first else UNKNOWN
            row["first_seen"] = first["first_seen"].strftime("%Y-%m-%dT%H:%M:%SZ") if first else None
        rows.sort(key=lambda row: row["against_others"] != "worse")
        return _answer(it, asked, cut, rows, "release")


def _rows(it: Call, found: Counts) -> list[dict[str, Any]]:
    """Most events first. Worse than the others is only what failed on two machines at least, as far as is known."""
    now = {part: summed(of.values()) for part, of in found.now.items()}
    all_events = sum(tally.events for tally in now.values())
    all_known = by_component({part: of for part, of in found.now.items() if part != UNKNOWN})
    others = {part: _others(all_known, found.now[part], part) for part in now}
    known = {part: (found.now[part], others[part]) for part in now if part != UNKNOWN}
    words = {
        part: ("could be chance", None)
        if judged[0] == "worse" and not found.shared_keys and now[part].machines_failing < MIN_FAILING_MACHINES
        else judged
        for part, judged in verdicts_of_mixed_rows(known, shared_keys=found.shared_keys).items()
    }
    before: dict[str, Judged] = {}
    if it.is_compared:
        mixed = {part: (of, found.before.get(part, {})) for part, of in found.now.items()}
        before = verdicts_of_mixed_rows(mixed, shared_keys=found.shared_keys)
    rows = []
    for part in sorted(now, key=lambda one: (-now[one].events, one)):
        old = summed(found.before.get(part, {}).values())
        rows.append({
            "name": shown(part), "release": part, **figures(now[part]),
            **(compared(now[part], old, before[part]) if it.is_compared else {}),
            "share_of_events": round(now[part].events / all_events, 4) if all_events else None,
            **_beside(now[part], summed(others[part].values())),
            "against_others": words[part][0] if part in words else "too few",
            **_worst(found.now[part]),
        })  # fmt: skip
    return rows


def _others(known: Mapping[str, Tally], own: Mapping[str, Tally], part: str) -> dict[str, Tally]:
    """All other parts that are known, component by component: all of them less the own one."""
    if part == UNKNOWN:
        return dict(known)
    found = {}
    for component, whole in known.items():
        less = own.get(component)
        if less is None:
            found[component] = whole
        elif whole.events > less.events:
            found[component] = Tally(
                whole.events - less.events,
                whole.failures - less.failures,
                whole.units - less.units,
                whole.unit_failures - less.unit_failures,
            )
    return found


def _beside(tally: Tally, others: Tally) -> dict[str, Any]:
    own, theirs = (rate(one.events - one.failures, one.events) for one in (tally, others))
    gap = None if own is None or theirs is None else round(100 * (own - theirs), 2)
    return {"others_success_rate": None if theirs is None else round(theirs, 4), "gap_points": gap}


def _worst(of: dict[str, Tally]) -> dict[str, Any]:
    failing = [name for name, tally in of.items() if tally.failures]
    worst = min(failing, key=lambda name: (-of[name].failures, name), default=None)
    failures = of[worst].failures if worst is not None else 0
    return {"worst_component": shown(worst) if worst is not None else None, "worst_component_failures": failures}


def _answer(it: Call, asked: SystemParameters, cut: Cut, rows: list[dict[str, Any]], kind: str) -> Answer:
    sentence = _sentence(it, cut, rows, kind)
    for row in rows:
        del row["release"]
    found, more = fitted(rows, asked.limit)
    component = shown(cut.component) if cut.component else None
    return it.answer(f"{sentence}.", more, component=component, rows=found)


def _sentence(it: Call, cut: Cut, rows: list[dict[str, Any]], kind: str) -> str:
    head = f"{cut.words} {it.span.words}"
    if not rows:
        return f"{head}, there was no installer event"
    worse = [row for row in rows if row["against_others"] == "worse"]
    if worse:
        named = [f"{row['name']} ({_counted(row)}, others {percent(row['others_success_rate'])})" for row in worse]
        verb = "does" if len(worse) == 1 else "do"
        said = f"{joined(named)} {verb} worse than the others by more than chance"
    elif all(row["against_others"] == "too few" for row in rows):
        said = f"too few tries tell one {kind} from the others"
    else:
        said = f"no {kind} does worse than the others by more than chance"
    plain = [row for row in rows if row not in worse and row["events"] >= SMALL_NUMBER]
    counted = joined([f"{row['name']} {_counted(row)}" for row in plain])
    rest = f": {counted}" if plain else ""
    new = [row["name"] for row in rows if row.get("is_new")]
    seen = f"; new in these days {'is' if len(new) == 1 else 'are'} {joined(new)}" if new else ""
    return f"{head}, {said}{rest}{seen}"


def _counted(row: dict[str, Any]) -> str:
    return f"{percent(row['success_rate'])} of {many(row['events'], 'event')}, {count(row['failures'])} failed"
