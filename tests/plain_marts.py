"""Numbers of the marts under the widgets from the generated truth: units, machines, installations, lives of commits.

Belongs here: what tables hold beyond what a widget shows. Does not belong here: SQL, and anything of the warehouse or
the statistics of the product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from fractions import Fraction
from itertools import product
from math import ceil

from tests.plain_truth import Event, Machine, Row, Site, deployments, first_tries, grouped, judged, named, rates, tally

LENGTHS = (1, 7, 30, 90)


def people(events: Iterable[Event]) -> Row:
    """Machines and units of events of one component, which come in order."""
    found = list(events)
    tries = first_tries(found)
    return {
        "machines": len({e.machine for e in found}),
        "machines_failing": len({e.machine for e in found if e.failed}),
        "units": len(tries),
        "unit_failures": sum(e.failed for e in tries),
    }


def counts(events: Iterable[Event]) -> Row:
    """Events, successes and failures."""
    return {name: count for name, count in rates(events).items() if not name.startswith("success_rate")}


def in_order(site: Site) -> list[Event]:
    return sorted(site.counted(), key=lambda e: e.at)


def component_window(site: Site) -> list[Row]:
    rows = []
    for length, spread, whole in product(LENGTHS, (False, True), (False, True)):
        first = site.last - timedelta(days=length - 1)
        events = [e for e in in_order(site) if first <= e.day <= site.last]
        groups = grouped(
            events,
            lambda e, s=spread, w=whole: (  # type: ignore[misc]
                e.environment,
                e.architecture if s else "all",
                "all" if w else e.component,
            ),
        )
        for (environment, architecture, component), group in groups.items():
            key = {"window_days": length, "environment": environment, "architecture": architecture}
            rows.append({**key, "component": component, **rates(group), **people(group)})
    return rows


def component_architecture(site: Site) -> list[Row]:
    parts = [row for row in component_window(site) if row["architecture"] != "all"]
    rows = []
    for row in parts:
        same = [r for r in parts if all(r[name] == row[name] for name in ("window_days", "environment", "component"))]
        others = [r for r in same if r["architecture"] not in ("unknown", row["architecture"])]
        kept = {name: cell for name, cell in row.items() if name != "machines_failing"}
        counts = ("events", "successes", "failures", "units", "unit_failures", "machines")
        rows.append(kept | {f"others_{name}": sum(r[name] for r in others) for name in counts})
    return rows


def component_daily(site: Site) -> list[Row]:
    groups = grouped(in_order(site), lambda e: (e.day, e.environment, e.component))
    names = ("event_date", "environment", "component")
    return [{**dict(zip(names, key, strict=True)), **rates(group), **people(group)} for key, group in groups.items()]


def component_weekly(site: Site) -> list[Row]:
    rows = []
    for whole in (False, True):
        groups = grouped(in_order(site), lambda e, w=whole: (monday(e.day), e.environment, "all" if w else e.component))  # type: ignore[misc]
        for (week, environment, component), group in groups.items():
            row = {"week_start": week, "environment": environment, "architecture": "all", "component": component}
            largest = max(Counter(e.machine for e in group).values())
            rows.append(row | rates(group) | people(group) | {"largest_machine_events": largest})
    return rows


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def daily(site: Site, *names: str) -> list[Row]:
    """By day, environment and the named attributes: counts, machines, installations; also where nothing counts."""

    def key(event: Event) -> tuple[object, ...]:
        return (event.day, event.environment, *(getattr(event, name) for name in names))

    starts: dict[tuple[object, ...], Counter[Machine]] = {}
    for event in site.events:
        of_key = starts.setdefault(key(event), Counter())
        if not event.is_test:
            of_key[event.machine] += event.is_run_start
    groups = grouped(site.counted(), key)
    rows = []
    for at, machines in starts.items():
        group = groups.get(at, [])
        row = dict(zip(("event_date", "environment", *names), at, strict=True))
        row |= {"machines": len({e.machine for e in group})}
        rows.append(row | rates(group) | {"installations": sum(max(1, n) for n in machines.values())})
    return rows


def success_rate_daily(site: Site) -> list[Row]:
    return daily(site)


def architecture_daily(site: Site) -> list[Row]:
    return daily(site, "architecture")


def os_daily(site: Site) -> list[Row]:
    return daily(site, "os_family", "os_release")


def segment_daily(site: Site) -> list[Row]:
    names = ("os_family", "os_release", "architecture")
    unknown = Counter(
        (e.day, e.environment, *(getattr(e, name) for name in names))
        for e in site.events
        if e.outcome == "unknown" and not e.counted
    )
    rows = daily(site, *names)
    for row in rows:
        del row["machines"]
        row["unknown_events"] = unknown[row["event_date"], row["environment"], *(row[name] for name in names)]
    return rows


def os_first_seen(site: Site) -> list[Row]:
    rows = []
    for key, group in grouped(in_order(site), lambda e: (e.environment, e.os_family, e.os_release)).items():
        first = group[0]
        week = {e.machine for e in group if monday(e.day) == monday(first.day)}
        row = dict(zip(("environment", "os_family", "os_release"), key, strict=True))
        row |= {"first_seen": first.at, "first_date": first.day, "events": len(group)}
        rows.append(row | {"machines_first_week": len(week)})
    return rows


def component_commit(site: Site) -> list[Row]:
    rows = []
    for whole in (False, True):
        events = [e for e in in_order(site) if e.commit]
        groups = grouped(events, lambda e, w=whole: (e.environment, e.commit, "all" if w else e.component))  # type: ignore[misc]
        for key, group in groups.items():
            names = ("environment", "commit_sha", "component")
            rows.append({**dict(zip(names, key, strict=True)), **rates(group), **people(group)})
    return rows


def commit_performance(site: Site) -> list[Row]:
    line = [commit for _, commit in deployments(site)]
    rows = []
    for commit, group in grouped((e for e in in_order(site) if e.commit), lambda e: str(e.commit)).items():
        ours, ci = ([e for e in group if e.environment == side] for side in ("production", "ci"))
        if not ours and not ci:
            continue
        tested, counted = rates(ci), people(ours)
        before = line[line.index(commit) - 1] if commit in line[1:] else None
        row = {"commit_sha": commit, **rates(ours), "predecessor_sha": before}
        row |= {"first_seen": ours[0].at if ours else None, "last_seen": ours[-1].at if ours else None}
        row |= {name: counted[name] for name in ("machines", "units", "unit_failures")}
        row |= {f"ci_{name}": tested[name] for name in ("events", "successes", "failures", "success_rate")}
        rows.append(row)
    return rows


def commit_regression(site: Site) -> list[Row]:
    events, rows = named(site), []
    for case in judged(site):
        n, successes, failures = tally(e for e in events if e.commit == case.commit and case.start <= e.at < case.end)
        since = case.start - timedelta(days=7)
        past = [e for e in events if e.commit == case.predecessor and since <= e.at < case.end]
        n_past, s_past, _ = tally(past)
        worse, better = case.units.chances or (None, None)
        rows.append(
            {
                "commit_sha": case.commit,
                "predecessor_sha": case.predecessor,
                "deployed_at": case.start,
                "events": n,
                "successes": successes,
                "failures": failures,
                "predecessor_events": n_past,
                "predecessor_successes": s_past,
                "difference_points": 100 * (s_past / n_past - successes / n) if n and n_past else None,
                "units": len(case.units.now),
                "unit_failures": sum(e.failed for e in case.units.now),
                "machines_failing": len({e.machine for e in case.units.now if e.failed}),
                "baseline_units": len(case.units.before),
                "baseline_unit_failures": sum(e.failed for e in case.units.before),
                "chance_worse": worse,
                "chance_better": better,
                "verdict": case.units.verdict,
            }
        )
    return rows


def commit_leader_changes(site: Site) -> list[Row]:
    first = {commit: at for at, commit in deployments(site)}
    rows: list[Row] = []
    leader = ""
    for day, group in sorted(grouped(named(site), lambda e: e.day).items()):
        counts = Counter(str(e.commit) for e in group)
        before, leader = leader, min(counts, key=lambda c: (-counts[c], c))
        if before not in ("", leader):
            row = {"event_date": day, "from_commit": before, "to_commit": leader}
            row |= {"from_events": counts[before], "to_events": counts[leader]}
            rows.append(row | {"is_rollback": first[leader] < first[before]})
    return rows


def commit_daily(site: Site) -> list[Row]:
    groups = grouped((e for e in site.counted() if e.commit), lambda e: (e.day, e.environment, e.commit))
    names = ("event_date", "environment", "commit_sha")
    return [{**dict(zip(names, key, strict=True)), **rates(group)} for key, group in groups.items()]


def commit_system_daily(site: Site) -> list[Row]:
    names = ("event_date", "environment", "commit_sha", "os_family", "os_release", "architecture")
    groups = grouped(
        (e for e in site.counted() if e.commit),
        lambda e: (e.day, e.environment, e.commit, e.os_family, e.os_release, e.architecture),
    )
    return [{**dict(zip(names, key, strict=True)), **counts(group)} for key, group in groups.items()]


def environment_daily(site: Site) -> list[Row]:
    rows = []
    for (day, environment), group in grouped(site.events, lambda e: (e.day, e.environment)).items():
        row = {"event_date": day, "environment": environment, **rates(e for e in group if e.counted)}
        unknown = sum(e.outcome == "unknown" and not e.counted for e in group)
        rows.append(row | {"landed_events": len(group), "unknown_events": unknown})
    return rows


def error_daily(site: Site) -> list[Row]:
    failures = Counter((e.day, e.environment, e.component, e.error_type) for e in site.counted() if e.failed)
    names = ("event_date", "environment", "component", "error_type")
    return [{**dict(zip(names, key, strict=True)), "failures": n} for key, n in failures.items()]


def error_window(site: Site) -> list[Row]:
    failures: Counter[tuple[object, ...]] = Counter()
    for length in LENGTHS:
        for event in site.within(length):
            failures[length, event.environment, event.component, event.error_type] += event.failed
    names = ("window_days", "environment", "component", "error_type")
    return [{**dict(zip(names, key, strict=True)), "failures": n} for key, n in failures.items() if n]


def error_system_window(site: Site) -> list[Row]:
    names = ("environment", "component", "error_type", "os_family", "os_release", "architecture")
    failures: Counter[tuple[object, ...]] = Counter()
    for length in LENGTHS:
        for event in site.within(length):
            if event.failed:
                failures[length, *(getattr(event, name) for name in names)] += 1
    return [{**dict(zip(("window_days", *names), key, strict=True)), "failures": n} for key, n in failures.items()]


def duration_window(site: Site) -> list[Row]:
    """Quantiles as the least duration that so large a share took at most."""
    shares = {"min_s": "0", "p10_s": "0.1", "p25_s": "0.25", "median_s": "0.5", "p75_s": "0.75", "p90_s": "0.9"}
    rows = []
    for length, spread in product(LENGTHS, (False, True)):
        timed = [e for e in site.within(length) if e.outcome == "success" and e.seconds is not None]
        groups = grouped(timed, lambda e, s=spread: (e.environment, e.component, e.architecture if s else "all"))  # type: ignore[misc]
        for (environment, component, architecture), group in groups.items():
            seconds = sorted(float(e.seconds or 0) for e in group)
            row: Row = {"window_days": length, "environment": environment, "component": component}
            row |= {"architecture": architecture, "events": len(seconds), "max_s": seconds[-1]}
            for name, part in {**shares, "p95_s": "0.95"}.items():
                row[name] = seconds[max(0, ceil(Fraction(part) * len(seconds)) - 1)]
            rows.append(row)
    return rows


def system_daily(site: Site) -> list[Row]:
    names = ("event_date", "environment", "component", "os_family", "os_release", "architecture")
    groups = grouped(
        in_order(site), lambda e: (e.day, e.environment, e.component, e.os_family, e.os_release, e.architecture)
    )
    return [{**dict(zip(names, key, strict=True)), **rates(group), **people(group)} for key, group in groups.items()]


def at_systems(events: Iterable[Event]) -> list[Row]:
    """By component (and all) and system; a machine of a generated truth has one system."""
    names = ("environment", "component", "os_family", "os_release", "architecture")
    found, rows = list(events), []
    for whole in (False, True):
        groups = grouped(
            found,
            lambda e, w=whole: (  # type: ignore[misc]
                e.environment,
                "all" if w else e.component,
                e.os_family,
                e.os_release,
                e.architecture,
            ),
        )
        for key, group in groups.items():
            rows.append({**dict(zip(names, key, strict=True)), **counts(group), **people(group)})
    return rows


def system_window(site: Site) -> list[Row]:
    rows = []
    for length in LENGTHS:
        days = site.days(length)
        events = [e for e in in_order(site) if days[0] <= e.day <= days[-1]]
        rows += [{"window_days": length, **row} for row in at_systems(events)]
    return rows


def system_monthly(site: Site) -> list[Row]:
    rows = []
    months = {day.replace(day=1) for day in site.days(200)}
    for month in months:
        end = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        for part, last in (("last", end), ("before", end - timedelta(days=30))):
            if end <= site.last:
                events = [e for e in in_order(site) if last - timedelta(days=29) <= e.day <= last]
                rows += [{"month": month, "part": part, **row} for row in at_systems(events)]
    return rows


def machine_share(site: Site) -> list[Row]:
    rows = []
    for (day, source), group in grouped(site.counted("production"), lambda e: (e.day, e.source)).items():
        by_machine = Counter(e.machine for e in group)
        row = {"event_date": day, "source": source, "events": len(group), "machines": len(by_machine)}
        largest = max(by_machine.values())
        rows.append(row | {"largest_machine_events": largest, "largest_machine_share": largest / len(group)})
    return rows


def installed(site: Site, key: Callable[[Row], object]) -> Counter[object]:
    """Installations of `os_daily` added up by a key of its rows."""
    found: Counter[object] = Counter()
    for row in os_daily(site):
        found[key(row)] += row["installations"]
    return found


def os_window(site: Site) -> list[Row]:
    names = ("window_days", "environment", "os_family", "os_release")
    rows = []
    for length in LENGTHS:
        days = set(site.days(length))
        groups = grouped(site.within(length), lambda e: (e.environment, e.os_family, e.os_release))
        counts = installed(site, lambda r, d=days: (r["event_date"] in d, *(r[name] for name in names[1:])))  # type: ignore[misc]
        for (is_within, *of), count in counts.items():  # type: ignore[misc]
            if is_within:
                group = groups.get(tuple(of), [])
                counted = people(group)
                row = dict(zip(names, (length, *of), strict=True)) | rates(group) | {"installations": count}
                rows.append(row | {name: counted[name] for name in ("machines", "machines_failing")})
    return rows


def os_weekly(site: Site) -> list[Row]:
    names = ("week_start", "environment", "os_family", "os_release")
    groups = grouped(site.counted(), lambda e: (monday(e.day), e.environment, e.os_family, e.os_release))
    runs = installed(site, lambda r: (monday(r["event_date"]), *(r[name] for name in names[1:])))
    rows = []
    for key, count in runs.items():
        group = groups.get(key, [])
        row = dict(zip(names, key, strict=True)) | rates(group)  # type: ignore[call-overload]
        rows.append(row | {"machines": people(group)["machines"], "installations": count})
    return rows
