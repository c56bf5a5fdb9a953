"""GetCommitRegressions: which commit made what worse, each held against what was usual before it.

A commit is the head of the main branch at event time: a hint, no proof. Verdicts are those of the marts. Not here: how
they are found (warehouse/commit_verdicts.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.wording import chance
from matokit_pipelines.toolserver.installer.answering import Call, call, stamp
from matokit_pipelines.toolserver.installer.asking import LIMIT, Compare, Day, Environment, SpanParameters
from matokit_pipelines.toolserver.installer.counting import fitted, rounded
from matokit_pipelines.toolserver.installer.kept import made_worse
from matokit_pipelines.toolserver.installer.names import component_of, unknown
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import OfSpan, Result, Word
from matokit_pipelines.toolserver.installer.words import count, instant, joined, many, percent, shown
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Whole
from matokit_pipelines.toolserver.problems import refused
from matokit_pipelines.toolserver.tools import Answer

_SHA = re.compile(r"^[0-9a-f]{4,40}$")
SHORT = 7
Row = Mapping[str, Any]


class CommitParameters(SpanParameters):
    """Which commits."""

    days: Whole = Field(
        30, ge=1, le=90, description="Commits first seen in so many days, 1 to 90, up to now or to toDate. Default 30."
    )
    component: str | None = Field(
        None, description="Judge commits by this component, such as python_install. Default: all components together."
    )
    commit: str | None = Field(None, description="Only this commit, 4 to 40 hex digits, whatever days. Default: all.")
    compare: Compare | None = Field(
        None, description="previous: also count the commits of the span before. Each commit is compared anyway."
    )
    limit: Whole = Field(10, ge=1, le=50, description=LIMIT.format(10))
    environment: Environment = Field("production", description="production: commits are judged there only.")
    fromDate: Day | None = Field(
        None, description="Commits first seen on this day or later.", json_schema_extra={"published": "string"}
    )


class CommitRow(Result):
    """One commit in its first 24 hours in production, against the seven days before it."""

    commit: str = Field(description="First 7 hex digits.")
    component: str | None = Field(description="What it is judged by; null: all components together.")
    first_seen: str = Field(description="First counted production event, ISO 8601, UTC.")
    verdict: Word = Field(description="worse or better: more than chance; too few: under ten first tries on a side.")
    is_final: bool = Field(description="Whether its first 24 hours are over and complete.")
    events: int = Field(description="Counted production events in that time.")
    failures: int = Field(description="Of these, those that failed.")
    failure_share: float | None = Field(description="First tries that failed / first tries, 0 to 1.")
    expected_share: float | None = Field(description="Share that was to be expected by the days before, 0 to 1.")
    first_tries: int = Field(description="First tries of a machine at a component.")
    first_tries_failed: int = Field(description="Of these, those that failed.")
    baseline_first_tries: int = Field(description="First tries before it that it is held against.")
    machines_failing: int = Field(description="Distinct machines with a failed first try.")
    chance_worse: float | None = Field(description="How often so many would fail had nothing changed, 0 to 1.")
    predecessor: str | None = Field(description="The commit before it in production; null for the first.")
    components_made_worse: list[str] = Field(description="Components that it made worse by more than chance.")
    link: str = Field(description='What came with it in the repository; "" without project.repository_url.')


class Commits(OfSpan):
    """Answer of GetCommitRegressions."""

    component: str | None = Field(description="What commits are judged by; null: all components together.")
    first_bad_commit: str | None = Field(
        description="The first commit that was worse by more than chance and since which none was better; null: none."
    )
    judged: int = Field(description="Commits first seen in these days with enough tries to judge.")
    worse: int = Field(description="Of these, those worse by more than chance.")
    previous_judged: int | None = Field(None, description="The same of the span before.")
    previous_worse: int | None = Field(None, description="The same of the span before.")
    rows: list[CommitRow] = Field(description="The first bad commit, then other worse ones, then the newest.")


def commit_regressions(kit: Kit, asked: CommitParameters) -> Answer:
    """Which commit broke what."""
    if asked.environment not in ("production", "all"):
        raise refused(
            f"Commits are judged in production only, not in {asked.environment}.",
            "Leave environment out; GetInstallerSuccessRate with by=commit counts commits of any environment.",
        )
    with call(kit, asked) as it:
        component = component_of(asked.component, it.ground)
        found = _found(it, asked, component)
        if asked.commit is not None:
            found = _only(it, asked.commit, found)
        now = [row for row in found if row["is_now"] or asked.commit]
        before = [row for row in found if not row["is_now"]]
        bad = _first_bad(now)
        rows = sorted(now, key=lambda row: (row is not bad, row["verdict"] != "worse"))  # newest first otherwise
        links = Links.of(kit.loaded)
        listed, more = fitted((_row(row, component, links) for row in rows), asked.limit)
        counted: dict[str, Any] = {"judged": _judged(now), "worse": _worse(now)}
        if it.is_compared:
            counted |= {"previous_judged": _judged(before), "previous_worse": _worse(before)}
        return it.answer(
            _sentence(it, now, before, bad, component, one=asked.commit is not None),
            more,
            environment="production",
            component=shown(component) if component else None,
            first_bad_commit=bad["commit_sha"] if bad else None,
            **counted,
            rows=listed,
        )


def _found(it: Call, asked: CommitParameters, component: str | None) -> Sequence[Row]:
    """The commits that are asked for, each with the components that it made worse; the newest first."""
    found = it.reader.rows(query("component_commits" if component else "commits"), _asked(it, asked, component))
    worse = made_worse(it.kit.snapshots, it.reader)
    for row in found:
        of_one = [component] if row["verdict"] == "worse" else []
        row["affected_components"] = of_one if component else worse.get(row["commit_sha"], [])
    return found


def _asked(it: Call, asked: CommitParameters, component: str | None) -> dict[str, Any]:
    """The commits of the running day are among them where no last day is asked for: they are why people ask."""
    window, before = it.span.window(it.ground), it.span.before.window(it.ground)
    end = window.end if asked.toDate else max(window.end, it.ground.watermark or window.end)
    params: dict[str, Any] = {"start": window.start, "end": end, "before_start": before.start, "sha": None}
    if asked.commit is not None:
        wanted = asked.commit.strip().lower()
        if not _SHA.match(wanted):
            raise refused(f'"{shown(asked.commit)}" is no commit.', "Give 4 to 40 hex digits, such as 85505a0.")
        params["sha"] = wanted[:SHORT]
    return params | ({"component": component} if component else {})


def _only(it: Call, wanted: str, found: Sequence[Row]) -> Sequence[Row]:
    if not found:
        known = [row["commit_sha"] for row in it.reader.rows(query("newest_commits"))]
        raise unknown("commit", wanted, known)
    return found


def _first_bad(rows: Sequence[Row]) -> Row | None:
    """Of the newest run of worse commits the first: none that was better lies between it and now."""
    bad = None
    for row in rows:  # the newest first
        if row["verdict"] == "better":
            break
        if row["verdict"] == "worse":
            bad = row
    return bad


def _judged(rows: Sequence[Row]) -> int:
    return sum(row["verdict"] != "too few" for row in rows)


def _worse(rows: Sequence[Row]) -> int:
    return sum(row["verdict"] == "worse" for row in rows)


def _row(row: Row, component: str | None, links: Links) -> dict[str, Any]:
    made, rare = row["affected_components"][:5], row["chance_worse"]
    return {
        "commit": row["commit_sha"], "component": shown(component) if component else None,
        "first_seen": stamp(row["deployed_at"]), "verdict": row["verdict"], "is_final": row["is_final"],
        "events": row["events"], "failures": row["failures"], "failure_share": rounded(_share(row)),
        "expected_share": rounded(row["expected_share"]), "first_tries": row["units"],
        "first_tries_failed": row["unit_failures"], "baseline_first_tries": row["baseline_units"],
        "machines_failing": row["machines_failing"], "chance_worse": None if rare is None else float(f"{rare:.2g}"),
        "predecessor": row["predecessor_sha"], "components_made_worse": [shown(name) for name in made],
        "link": links.compare(row["predecessor_sha"], row["commit_sha"]),
    }  # fmt: skip


def _share(row: Row) -> float | None:
    share: float | None = row["unit_failures"] / row["units"] if row["units"] else None
    return share


def _sentence(
    it: Call, now: Sequence[Row], before: Sequence[Row], bad: Row | None, component: str | None, *, one: bool
) -> str:
    about = f" for {shown(component)}" if component else ""
    against = ""
    if it.is_compared:
        against = f" Nothing is recorded {it.when_before}."
        if it.before_is_known:
            against = f" {it.when_before.capitalize()} {count(_worse(before))} of {count(_judged(before))} were worse."
    if one:
        row = now[0]
        return f"Commit {row['commit_sha']}{about}: {_verdict_words(row)}, {_numbers(row)}.{against}"
    if not now:
        return f"No commit was first seen in production {it.span.words}{about}.{against}"
    if bad is None:
        said = (
            f"No commit first seen {it.span.words} made production worse{about} by more than chance "
            f"({count(_judged(now))} of {many(len(now), 'commit')} had enough tries to judge)"
        )
        single = [f"{shown(name)} with {row['commit_sha']}" for row in now for name in row["affected_components"][:2]]
        if single:
            said += f"; single components got worse: {joined(single)}"
        if _worse(now):
            said = _mended(now, component)
        return f"{said}.{against}"
    named = [shown(name) for name in bad["affected_components"]]
    broken = f", above all {joined(named)}" if named and not component else ""
    others = _worse(now) - 1
    also = f" {many(others, 'other commit')} of these days did worse too." if others else ""
    if (newest := now[0]) is not bad:
        share = f" ({percent(_share(newest))})" if newest["units"] else ""
        tries = f"{count(newest['unit_failures'])} of {many(newest['units'], 'first try', 'first tries')}{share} failed"
        also += f" With the newest commit, {newest['commit_sha']}, {tries}: {_verdict_words(newest)}."
    first = "A hint, not a proof: the commit is the head of the main branch at event time."
    what = shown(component) if component else "the installer"
    return (
        f"Commit {bad['commit_sha']} made {what} worse in production{broken}: {_numbers(bad)}.{also} {first}{against}"
    )


def _mended(rows: Sequence[Row], component: str | None) -> str:
    """The newest commit that was worse, and the next after it that was better."""
    place = next(number for number, row in enumerate(rows) if row["verdict"] == "worse")
    bad = rows[place]
    good = [row for row in rows[:place] if row["verdict"] == "better"][-1]
    what = shown(component) if component else "the installer"
    others = _worse(rows) - 1
    also = f"; {many(others, 'earlier commit')} did worse too" if others else ""
    mended = (
        f"{good['commit_sha']}, first seen {instant(good['deployed_at'])}, made it better again by more than chance"
    )
    return f"Commit {bad['commit_sha']} made {what} worse in production: {_numbers(bad)}; {mended}{also}"


def _verdict_words(row: Row) -> str:
    words = {
        "worse": "worse than before it by more than chance",
        "better": "better than before it by more than chance",
        "could be chance": "no difference that chance does not explain",
        "too few": "too few tries to compare",
    }
    return words[row["verdict"]]


def _numbers(row: Row) -> str:
    share = f" ({percent(_share(row))})" if row["units"] else ""
    usual = f", usually {percent(row['expected_share'])}" if row["expected_share"] is not None else ""
    odds = chance(row["chance_worse"], "commit_regression") if row["verdict"] == "worse" else ""
    rare = f", {odds}" if odds else ""
    until = "in its first 24 hours" if row["is_final"] else f"up to {instant(row['compared_until'])}"
    tries = many(row["units"], "first try", "first tries")
    return (
        f"{count(row['unit_failures'])} of {tries}{share} failed {until} "
        f"(first seen {instant(row['deployed_at'])}, after {row['predecessor_sha'] or 'no other commit'}){usual}{rare}"
    )
