"""The two tables of figures beside what is expected of them, and a verdict a row. Not here: how they come about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.alerting.expected import (
    ALL_RULES,
    DETECTIONS,
    FALSE_ALARMS,
    JUDGED,
    MOST_A_WEEK,
    POINTS_BELOW,
    RULES,
    Detection,
)
from benchmarks.alerting.starts import highest_share, lowest_rate

NAMES = {
    "component": "one component 97 to 70 %",
    "commit": "commit 12 points worse",
    "commit_among_others": "the same, other commits as often as usual",
    "outage": "four-hour outage, each step 35 % worse",
    "architecture": "x86_64 20 points worse",
}


@dataclass(frozen=True)
class Figure:
    """One cell: raw and guarded as found and as expected, and whether it passes (None: not judged).

    False alarms are starts a week, `bound` the lower bound of the guarded ones; detections are shares in percent,
    `bound` the upper bound of the guarded one, the delays medians in hours.
    """

    table: str
    row: str
    volume: int
    size: int
    raw: float | None
    guarded: float
    raw_delay: float | None
    guarded_delay: float | None
    expected: str
    limit: float | None
    bound: float | None
    passes: bool | None


def false_alarms(results: Sequence[Mapping[str, Any]], volumes: Sequence[int]) -> list[Figure]:
    """Figures of the simulations without a change, a rule and volume each, and of all rules together."""
    figures = []
    for volume in volumes:
        mine = [result for result in results if result["volume"] == volume]
        weeks = sum(result["weeks"] for result in mine)
        if not weeks:
            continue
        raw: Counter[str] = Counter()
        guarded: Counter[str] = Counter()
        for result in mine:
            raw.update(result["raw"])
            guarded.update(rule for rule, _, _ in result["guarded"])
        for rule in (*RULES, ALL_RULES):
            judged = rule == ALL_RULES and volume in JUDGED
            starts = guarded.total() if rule == ALL_RULES else guarded[rule]
            bound = lowest_rate(starts, weeks)
            figures.append(
                Figure(
                    table="false alarms a week",
                    row=rule,
                    volume=volume,
                    size=weeks,
                    raw=(raw.total() if rule == ALL_RULES else raw[rule]) / weeks,
                    guarded=starts / weeks,
                    raw_delay=None,
                    guarded_delay=None,
                    expected=_expected_alarms(rule, volume),
                    limit=MOST_A_WEEK if judged else None,
                    bound=bound,
                    passes=bound <= MOST_A_WEEK if judged else None,
                )
            )
    return figures


def _expected_alarms(rule: str, volume: int) -> str:
    known = FALSE_ALARMS.get(rule, {}).get(volume)
    if known is None:
        return "not simulated"
    return f"{known[1]:g}" if known[0] is None else f"{known[0]:g} → {known[1]:g}"


def detections(results: Sequence[Mapping[str, Any]], volumes: Sequence[int]) -> list[Figure]:
    """Figures of the planted changes, a rule, horizon and volume each."""
    figures = []
    for asked in DETECTIONS:
        for volume in volumes:
            mine = [r for r in results if r["volume"] == volume and r["change"] == asked.change]
            if mine:
                figures.append(_detection(asked, volume, mine))
    return figures


def _detection(asked: Detection, volume: int, results: Sequence[Mapping[str, Any]]) -> Figure:
    tried = sum(result["tried"] for result in results)
    raw = [delay for result in results for delay in result["found"][asked.key]["raw"]]
    guarded = [delay for result in results for delay in result["found"][asked.key]["guarded"]]
    known_raw, known = asked.found.get(volume, (None, None))
    has_raw = asked.rule != "slow_regression"
    limit = known.share - POINTS_BELOW if known and known.share > POINTS_BELOW else None
    bound = 100 * highest_share(len(guarded), tried)
    expected = " → ".join(_told(c.share, c.delay) for c in (known_raw, known) if c is not None)
    return Figure(
        table="changes caught",
        row=f"{NAMES[asked.change]}: {asked.rule}, {asked.horizon} h",
        volume=volume,
        size=tried,
        raw=100 * len(raw) / tried if has_raw else None,
        guarded=100 * len(guarded) / tried,
        raw_delay=median(raw) if raw and has_raw else None,
        guarded_delay=median(guarded) if guarded else None,
        expected=expected or "not simulated",
        limit=limit,
        bound=bound,
        passes=bound >= limit if limit is not None else None,
    )


def _told(share: float, delay: float | None) -> str:
    return f"{share:.0f} %" + (f", {delay:.1f} h" if delay is not None else "")


def show(figures: Sequence[Figure]) -> None:
    """Print the tables that there are figures for."""
    alarms = [figure for figure in figures if figure.table == "false alarms a week"]
    caught = [figure for figure in figures if figure.table == "changes caught"]
    if alarms:
        print("\nFalse alarms a week, raw → guarded; nothing changed")
        print("| rule | events a day | weeks | found | expected | limit | lower bound | verdict |")
        print("|---|---|---|---|---|---|---|---|")
    for f in alarms:
        found = f"{f.guarded:.2f}" if f.row == "slow_regression" else f"{f.raw:.2f} → {f.guarded:.2f}"
        _print(f, found, f"{f.limit:g}" if f.limit is not None else "", f"{f.bound:.2f}")
    if caught:
        print("\nChanges caught, share and median delay, raw → guarded")
        print("| change and rule | events a day | repetitions | found | expected | limit | upper bound | verdict |")
        print("|---|---|---|---|---|---|---|---|")
    for f in caught:
        found = _told(f.guarded, f.guarded_delay)
        if f.raw is not None:
            found = f"{_told(f.raw, f.raw_delay)} → {found}"
        _print(f, found, f"{f.limit:.0f} %" if f.limit is not None else "", f"{f.bound:.0f} %")


def _print(f: Figure, found: str, limit: str, bound: str) -> None:
    print(f"| {f.row} | {f.volume:,} | {f.size} | {found} | {f.expected} | {limit} | {bound} | {verdict(f)} |")


def verdict(figure: Figure) -> str:
    """In a word; nothing where nothing is judged."""
    return "" if figure.passes is None else "passes" if figure.passes else "FAILS"


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """The figures for a file."""
    return [asdict(figure) for figure in figures]
