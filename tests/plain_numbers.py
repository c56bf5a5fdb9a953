"""The numbers of the sixteen widgets from the generated truth, with dictionaries and loops.

Belongs here: one function a widget, named after it (and a part of it), giving the rows that are drawn, in order. Does
not belong here: SQL, and anything of the warehouse or the statistics of the product.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta

from tests.plain_truth import (
    Machine,
    Row,
    Site,
    Units,
    deployments,
    first_tries,
    grouped,
    judged,
    named,
    rates,
    share,
    tally,
)

# -- 1. installation health -------------------------------------------------------------------------------------------


def success_rate(site: Site, days: int, environment: str) -> list[Row]:
    now = rates(site.within(days, environment))
    first = site.days(days)[0]
    earlier = site.days(2 * days)[0]
    n_before, s_before, _ = tally(e for e in site.counted(environment) if earlier <= e.day < first)
    everywhere = rates(site.within(days))
    before = share(s_before, n_before)
    change = None if now["success_rate"] is None or before is None else 100 * (now["success_rate"] - before)
    del now["failures"], everywhere["failures"]
    row = {"first_day": first, "last_day": site.last, **now}
    row |= {
        "events_before": n_before,
        "successes_before": s_before,
        "success_rate_before": before,
        "change_points": change,
    }
    row |= {"events_everywhere": everywhere["events"], "successes_everywhere": everywhere["successes"]}
    row |= {"success_rate_everywhere": everywhere["success_rate"]}
    row |= {"success_rate_everywhere_low": everywhere["success_rate_low"]}
    return [row | {"success_rate_everywhere_high": everywhere["success_rate_high"]}]


def installations(site: Site) -> Counter[tuple[date, str]]:
    """By day and environment: of each machine that sent anything but tests its run starts, at least one."""
    starts: Counter[tuple[date, str, Machine]] = Counter()
    for event in site.events:
        if not event.is_test:
            starts[event.day, event.environment, event.machine] += event.is_run_start
    found: Counter[tuple[date, str]] = Counter()
    for (day, environment, _), begun in starts.items():
        found[day, environment] += max(1, begun)
    return found


def daily_volume(site: Site, days: int, environment: str) -> list[Row]:
    events = grouped(site.counted(), lambda e: (e.day, e.environment))
    installed = installations(site)
    rows = []
    for day in site.days(days):
        for name in sorted({e.environment for e in site.counted()}):
            row = {"event_date": day, "environment": name}
            row |= {"events": len(events.get((day, name), [])) or site.zero(day)}
            rows.append(row | {"installations": installed[day, name] or site.zero(day)})
    return rows


def outcomes(site: Site, days: int, environment: str) -> list[Row]:
    n, successes, failures = tally(site.within(days, environment))
    first = site.days(days)[0]
    unknown = [
        e
        for e in site.events
        if not e.counted and e.outcome == "unknown" and e.environment == environment and first <= e.day <= site.last
    ]
    return [
        {"outcome": "success", "events": successes, "share": share(successes, n)},
        {"outcome": "failure", "events": failures, "share": share(failures, n)},
        {"outcome": "unknown", "events": len(unknown), "share": None},
    ]


def environments(site: Site, days: int, environment: str) -> list[Row]:
    first = site.days(days)[0]
    installed: Counter[str] = Counter()
    for (day, name), count in installations(site).items():
        installed[name] += count if first <= day <= site.last else 0
    groups = grouped(site.within(days), lambda e: e.environment)
    rows = [{"environment": n, "events": len(g), "installations": installed[n]} for n, g in groups.items()]
    return sorted(rows, key=lambda r: (-r["events"], r["environment"]))


# -- 2. system compatibility ------------------------------------------------------------------------------------------


def architecture_performance(site: Site, days: int, environment: str) -> list[Row]:
    rows = []
    for name, group in grouped(site.within(days, environment), lambda e: e.architecture).items():
        n, _, failures = tally(group)
        rows.append({"architecture": name, **rates(group), "failure_rate": share(failures, n)})
    return sorted(rows, key=lambda r: (-r["events"], r["architecture"]))


def architecture_success(site: Site, days: int, environment: str) -> list[Row]:
    rows = architecture_performance(site, days, environment)
    kept = ("architecture", "events", "success_rate", "success_rate_low", "success_rate_high")
    return [{name: row[name] for name in kept} for row in rows]


def os_versions(site: Site, days: int, environment: str) -> list[Row]:
    first: dict[tuple[str, str], datetime] = {}
    first_day: dict[tuple[str, str], date] = {}
    for event in sorted(site.counted(environment), key=lambda e: e.at):
        first.setdefault((event.os_family, event.os_release), event.at)
        first_day.setdefault((event.os_family, event.os_release), event.day)
    rows = []
    for key, group in grouped(site.within(days, environment), lambda e: (e.os_family, e.os_release)).items():
        row = {"os_family": key[0], "os_release": key[1], **rates(group)}
        row |= {"first_seen": first[key], "first_date": first_day[key]}
        is_new = site.last - timedelta(days=7) < first_day[key] <= site.last
        rows.append(row | {"is_new": is_new if site.first_known <= site.last - timedelta(days=7) else None})
    return sorted(rows, key=lambda r: (-r["events"], r["os_family"], r["os_release"]))


def os_version_trends(site: Site, days: int, environment: str) -> list[Row]:
    events = site.within(days, environment)
    totals = Counter((e.os_family, e.os_release) for e in events)
    ranked = sorted(totals, key=lambda key: (-totals[key], key))
    names = ranked[:6] + [("other", "other")] * (len(ranked) > 6)
    daily = Counter((e.day, min(ranked.index((e.os_family, e.os_release)), 6)) for e in events)
    return [
        {
            "event_date": day,
            "place": place + 1,
            "os_family": family,
            "os_release": release,
            "events": daily[day, place] or site.zero(day),
        }
        for day in site.days(days)
        for place, (family, release) in enumerate(names)
    ]


# -- 3. component analysis --------------------------------------------------------------------------------------------


def component_success(site: Site, days: int, environment: str) -> list[Row]:
    rows = []
    for name, group in grouped(site.within(days, environment), lambda e: e.component).items():
        row = {"component": name, **rates(group), "machines": len({e.machine for e in group})}
        rows.append(row | {"machines_failing": len({e.machine for e in group if e.failed})})
    return sorted(rows, key=lambda r: (-r["failures"], -r["events"], r["component"]))


def problematic_components(site: Site, days: int, environment: str) -> list[Row]:
    failures = [e for e in site.within(days, environment) if e.failed]
    totals = Counter(e.component for e in failures)
    rows = []
    for place, name in enumerate(sorted(totals, key=lambda c: (-totals[c], c))[:10], start=1):
        kinds = Counter(e.error_type for e in failures if e.component == name)
        for kind in sorted(kinds, key=lambda k: (-kinds[k], k)):
            row = {"place": place, "component": name, "error_type": kind}
            rows.append(row | {"failures": kinds[kind], "component_failures": totals[name]})
    return rows


def component_trends(site: Site, days: int, environment: str) -> list[Row]:
    events = site.within(days, environment)
    totals = Counter(e.component for e in events)
    top = sorted(totals, key=lambda c: (-totals[c], c))[:5]
    daily = grouped(events, lambda e: (e.day, e.component))
    rows = []
    for day in site.days(days):
        for place, name in enumerate(top, start=1):
            n, successes, _ = tally(daily.get((day, name), []))
            counts = (
                {"events": n, "successes": successes} if n else dict.fromkeys(("events", "successes"), site.zero(day))
            )
            rate = {"success_rate": share(successes, n)}
            rows.append({"event_date": day, "place": place, "component": name, **counts, **rate})
    return rows


def component_matrix(site: Site, days: int, environment: str) -> list[Row]:
    rows = []
    for (name, architecture), group in grouped(
        site.within(days, environment), lambda e: (e.component, e.architecture)
    ).items():
        n, successes, _ = tally(group)
        row = {"component": name, "architecture": architecture, "events": n, "successes": successes}
        rows.append(row | {"success_rate": share(successes, n)})
    return sorted(rows, key=lambda r: (r["component"], r["architecture"]))


# -- 4. deployment tracking -------------------------------------------------------------------------------------------


def commit_table(site: Site, days: int, environment: str) -> list[Row]:
    events, verdicts = named(site), {row.commit: row.units.verdict for row in judged(site)}
    first = {commit: at for at, commit in deployments(site)}
    last = {str(e.commit): e.at for e in events}
    window = site.days(days)
    rows = []
    for name, group in grouped((e for e in events if window[0] <= e.day <= site.last), lambda e: e.commit).items():
        n, _, failures = tally(group)
        row = {"commit_sha": name, **rates(group), "failure_rate": share(failures, n)}
        row |= {"first_seen": first[name], "last_seen": last[name]}
        rows.append(row | {"verdict": verdicts.get(name), "is_regression": verdicts.get(name) == "worse"})
    return sorted(rows, key=lambda r: (-r["first_seen"].timestamp(), r["commit_sha"]))


def version_rollback(site: Site, days: int, environment: str) -> list[Row]:
    events = [e for e in site.within(days, "production") if e.commit]
    totals = Counter(str(e.commit) for e in events)
    ranked = sorted(totals, key=lambda c: (-totals[c], c))
    names = ranked[:8] + ["other"] * (len(ranked) > 8)
    daily = Counter((e.day, min(ranked.index(str(e.commit)), 8)) for e in events)
    return [
        {"event_date": day, "place": n + 1, "commit_sha": name, "events": daily[day, n] or site.zero(day)}
        for day in site.days(days)
        for n, name in enumerate(names)
    ]


def version_rollback_changes(site: Site, days: int, environment: str) -> list[Row]:
    first = {commit: at for at, commit in deployments(site)}
    window = site.days(days)
    rows, leader = [], None
    for day, group in sorted(grouped(named(site), lambda e: e.day).items()):
        counts = Counter(str(e.commit) for e in group)
        before, leader = leader, min(counts, key=lambda c: (-counts[c], c))
        if before and before != leader and window[0] <= day <= site.last:
            row = {"event_date": day, "from_commit": before, "to_commit": leader}
            rows.append(row | {"is_rollback": first[leader] < first[before]})
    return rows


def test_environments(site: Site, days: int, environment: str) -> list[Row]:
    counts = Counter(e.environment for e in site.within(days))
    total = sum(counts.values())
    rows = [{"environment": name, "events": n, "share": share(n, total)} for name, n in counts.items()]
    return sorted(rows, key=lambda r: (-r["events"], r["environment"]))


def ci_comparison(site: Site, days: int, environment: str) -> list[Row]:
    sides = [sorted(site.within(days, side), key=lambda e: e.at) for side in ("production", "ci")]
    names = sorted({e.component for events in sides for e in events})
    rows = []
    for name in [*names, "all"] if names else []:
        ours, tested = ([e for e in events if name in ("all", e.component)] for events in sides)
        units = Units(first_tries(ours), first_tries(tested), mixed=name == "all")
        row: Row = {"component": name}
        for side, events in (("production", ours), ("ci", tested)):
            counted = rates(events)
            row |= {f"{side}_{column}": cell for column, cell in counted.items() if column != "failures"}
        rate, green = row["production_success_rate"], row["ci_success_rate"]
        row |= {"gap_points": None if rate is None or green is None else 100 * (green - rate)}
        row |= {"chance_worse": units.chances[0] if units.chances else None, "verdict": units.verdict}
        rows.append(row | {"is_marked": units.verdict == "worse" and row["ci_successes"] / row["ci_events"] > 0.95})
    return rows


def ci_comparison_errors(site: Site, days: int, environment: str) -> list[Row]:
    rows = []
    for side in ("ci", "production"):
        failures = [e for e in site.within(days, side) if e.failed]
        groups = grouped(failures, lambda e: e.component) | ({"all": failures} if failures else {})
        for name, group in groups.items():
            kinds = Counter(e.error_type for e in group)
            for place, kind in enumerate(sorted(kinds, key=lambda k: (-kinds[k], k))[:3], start=1):
                row = {"component": name, "environment": side, "place": place, "error_type": kind}
                rows.append(row | {"failures": kinds[kind]})
    return sorted(rows, key=lambda r: (r["component"] == "all", r["component"], r["environment"], r["place"]))
