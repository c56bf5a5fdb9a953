"""A back-test as a page with a timeline, as rows for a table, and in words. Not here: the back-test itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from matokit_pipelines import resources
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.backtest import Backtest, Compared, Figures, figures, span
from matokit_pipelines.alerts.content.wording import failed
from matokit_pipelines.alerts.why_words import odds
from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.reports import formats
from matokit_pipelines.windows import Window, each_day, local_date, start_of_day

MOST_LISTED = 200
MOST_MARKS = 6
FINEST = 1500  # bars closer than this share of the width are drawn as one
LEAST_WIDTH = 0.12  # percent; what is shorter could not be seen


def rows(found: Backtest) -> list[dict[str, Any]]:
    """One row a rule, for `--json`: figures and all episodes of both lanes."""
    return [
        {
            "rule": rule.rule,
            "severity": rule.severity,
            **_flat("raw", figures(rule.raw, found.period), found),
            **_flat("guarded", figures(rule.guarded, found.period), found),
            "raw_alerts": [_entry(episode) for episode in rule.raw],
            "guarded_alerts": [_entry(episode) for episode in rule.guarded],
        }
        for rule in found.rules
    ]


def _flat(lane: str, of: Figures, found: Backtest) -> dict[str, Any]:
    return {
        f"{lane}_starts": of.starts,
        f"{lane}_per_week": found.per_week(of.starts),
        f"{lane}_episodes": of.episodes,
        f"{lane}_hours": of.hours,
    }


def _entry(episode: Episode) -> dict[str, Any]:
    return {
        "subject": episode.subject,
        "started_at": episode.started_at,
        "ended_at": episode.ended_at,
        "end_reason": episode.end_reason,
        "inputs": dict(episode.first.inputs),
    }


def total(found: Backtest, lane: str) -> Figures:
    """All rules together; hours in which at least one of them fired."""
    return figures((episode for rule in found.rules for episode in getattr(rule, lane)), found.period)


def headline(found: Backtest) -> str:
    """What the guard changed, in one sentence."""
    raw, guarded = total(found, "raw").starts, total(found, "guarded").starts
    if not raw:
        return "No threshold was crossed, so there was nothing for the guard to hold back."
    alone = f"{raw:,} alert{'s' if raw != 1 else ''} by the thresholds alone"
    if guarded == raw:
        return f"{alone}, and as many with the guard."
    return f"{alone}, {guarded:,} with the guard."


def page(found: Backtest, zone: ZoneInfo, environments: Sequence[str], now: datetime) -> str:
    """The page: complete in itself, without any script. `now` is printed as the time of making."""
    environment = Environment(
        loader=FileSystemLoader(resources.path("report_templates")),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("alerts_backtest/page.html").render(_context(found, zone, environments, now))


def write_page(path: Path, html: str) -> None:
    """Write the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.tmp")
    building.write_text(html, encoding="utf-8")
    building.replace(path)


def period_in_words(period: Window, zone: ZoneInfo) -> str:
    """Its days, both included, or its instants where it does not hold whole days."""
    last = local_date(period.end - timedelta(microseconds=1), zone)
    first = local_date(period.start, zone)
    if (start_of_day(first, zone), start_of_day(last + timedelta(days=1), zone)) == (period.start, period.end):
        return f"{formats.weekday(first)} to {formats.weekday_of_year(last)}"
    return f"{formats.instant(period.start, zone)} to {formats.instant_of_year(period.end, zone)}"


def _context(found: Backtest, zone: ZoneInfo, environments: Sequence[str], now: datetime) -> dict[str, Any]:
    both = {lane: total(found, lane) for lane in ("raw", "guarded")}
    names = {"raw": "Thresholds alone", "guarded": "With the guard"}
    return {
        "period": period_in_words(found.period, zone),
        "environments": ", ".join(environments),
        "headline": headline(found),
        "facts": _facts(found, zone),
        "holes": [window_in_words(hole, zone) for hole in found.incomplete],
        "gaps": [_placed(hole, found.period) for hole in found.incomplete],
        "tiles": [_tile(names[lane], of, found) for lane, of in both.items()] + [_kept_back(both)],
        "rows": [_row(rule, found, zone) for rule in found.rules],
        "total": {"rule": "all", **{lane: _cells(of, found) for lane, of in both.items()}},
        "marks": list(_marks(found.period, zone)),
        "guarded": _list((episode for rule in found.rules for episode in rule.guarded), found.period, zone),
        "raw": _list((episode for rule in found.rules for episode in rule.raw), found.period, zone),
        "changed": list(found.changed),
        "made": f"Made {formats.instant_of_year(now, zone)} ({zone.key}).",
    }


def _facts(found: Backtest, zone: ZoneInfo) -> list[str]:
    said = [f"{formats.count(found.ticks)} evaluations of {formats.count(found.events)} events, one every 5 minutes."]
    if found.changed:
        said.append(f"Tried with {', '.join(found.changed)}.")
    said += found.notes
    still = [episode for rule in found.rules for episode in rule.guarded if episode.ended_at is None]
    if still:
        said.append(f"{len(still)} still fired when the period ended.")
    return said


def _tile(name: str, of: Figures, found: Backtest) -> dict[str, str]:
    per_week = found.per_week(of.starts)
    return {
        "name": name,
        "starts": formats.count(of.starts),
        "per_week": "" if per_week is None else f"{per_week:.1f} a week",
        "hours": f"{of.hours:,.0f} hours with something firing",
    }


def _kept_back(both: dict[str, Figures]) -> dict[str, str]:
    raw, guarded = both["raw"].starts, both["guarded"].starts
    share = "" if not raw else f"of {formats.count(raw)} that crossed a threshold"
    return {
        "name": "Held back by the guard",
        "starts": "–" if not raw else formats.percent(max(0, raw - guarded) / raw),
        "per_week": share,
        "hours": "What chance alone explains starts no alert.",
    }


def _row(rule: Compared, found: Backtest, zone: ZoneInfo) -> dict[str, Any]:
    lanes = {lane: figures(getattr(rule, lane), found.period) for lane in ("raw", "guarded")}
    bars = [
        bar for lane in lanes for bar in _bars(lane, sorted(getattr(rule, lane), key=_by_start), found.period, zone)
    ]
    alt = (
        f"{rule.rule}: {lanes['raw'].starts} starts by the threshold alone, {lanes['guarded'].starts} with the guard; "
        "the table below has the figures"
    )
    return {"rule": rule.rule, "bars": bars, "alt": alt, **{lane: _cells(of, found) for lane, of in lanes.items()}}


def _by_start(episode: Episode) -> tuple[datetime, str, str]:
    return episode.started_at, episode.rule, episode.subject


def _cells(of: Figures, found: Backtest) -> dict[str, str]:
    per_week = found.per_week(of.starts)
    return {
        "starts": formats.count(of.starts),
        "per_week": formats.NOTHING if per_week is None else f"{per_week:.2f}",
        "episodes": formats.count(of.episodes),
        "hours": f"{of.hours:,.1f}",
    }


def _bars(lane: str, episodes: Sequence[Episode], period: Window, zone: ZoneInfo) -> list[dict[str, Any]]:
    """One bar an episode; those that would touch on a screen are one, which says how many it holds."""
    least = (period.end - period.start) / FINEST
    groups: list[tuple[Window, list[Episode]]] = []
    for episode in episodes:
        window = span(episode, period)
        if groups and window.start <= groups[-1][0].end + least:
            before, held = groups[-1]
            groups[-1] = (Window(before.start, max(before.end, window.end)), [*held, episode])
        else:
            groups.append((window, [episode]))
    return [{"kind": lane, "title": _title(window, held, zone), **_placed(window, period)} for window, held in groups]


def _title(window: Window, held: Sequence[Episode], zone: ZoneInfo) -> str:
    when = f"{formats.instant(window.start, zone)} to {formats.instant(window.end, zone)}"
    subjects = list(dict.fromkeys(_subject(episode) for episode in held))
    shown = ", ".join(subjects[:5]) + (f" and {len(subjects) - 5} more" if len(subjects) > 5 else "")
    return f"{when}: {shown}" + (f" ({len(held)} episodes)" if len(held) > 1 else "")


def _placed(window: Window, period: Window) -> dict[str, str]:
    """Where a window lies in the period, in percent of its length."""
    whole = period.end - period.start
    start = max(0.0, 100 * ((window.start - period.start) / whole))
    width = min(100.0 - start, max(LEAST_WIDTH, 100 * ((window.end - window.start) / whole)))
    return {"x": f"{start:.3f}", "width": f"{max(width, 0.0):.3f}"}


def _marks(period: Window, zone: ZoneInfo) -> Iterable[dict[str, str]]:
    """A few local midnights with their names."""
    days = list(each_day(local_date(period.start, zone), local_date(period.end, zone)))
    step = next(step for step in (1, 2, 5, 7, 14, 28, 61, 122, 366, len(days)) if len(days) / step <= MOST_MARKS)
    for day in days[::step]:
        at = start_of_day(day, zone)
        if period.start <= at < period.end:
            share = 100 * ((at - period.start) / (period.end - period.start))
            yield {"at": f"{share:.3f}", "label": formats.day(day), "anchor": _anchor(share)}


def _anchor(share: float) -> str:
    return "start" if share < 4 else "end" if share > 96 else "middle"


def _list(episodes: Iterable[Episode], period: Window, zone: ZoneInfo) -> dict[str, Any]:
    found = sorted(episodes, key=_by_start)
    entries = [
        {
            "rule": episode.rule,
            "subject": _subject(episode),
            "start": formats.instant(episode.started_at, zone),
            "lasted": _lasted(episode, period),
            "numbers": _numbers(episode),
        }
        for episode in found[:MOST_LISTED]
    ]
    more = len(found) - len(entries)
    return {"entries": entries, "more": formats.count(more) if more > 0 else ""}


def _subject(episode: Episode) -> str:
    return "everything" if episode.subject == "*" else cut(one_line(episode.subject))


def _lasted(episode: Episode, period: Window) -> str:
    window = span(episode, period)
    hours = (window.end - window.start) / timedelta(hours=1)
    length = f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
    return length if episode.ended_at and episode.ended_at <= period.end else f"{length}, goes on"


def _numbers(episode: Episode) -> str:
    """The counts at the start and how unlikely they were, as far as the rule has them."""
    inputs = episode.first.inputs
    n, failures, chance = inputs.get("n"), inputs.get("failures"), inputs.get("chance")
    said = []
    if isinstance(n, int) and isinstance(failures, int):
        said.append(failed(failures, n))
    if isinstance(chance, int | float) and episode.rule != "no_events":
        said.append(f"by chance {odds(float(chance))}")
    return "; ".join(said)


def window_in_words(window: Window, zone: ZoneInfo) -> str:
    """From when to when."""
    return f"{formats.instant(window.start, zone)} to {formats.instant(window.end, zone)}"
