"""What surrounds an alert in words: tables of where it fails, what changed, how CI fares, and what to look at first.

From the facts alone (evidence.py); what they lack is said or left out. Not here: the alert's own numbers
(headlines.py), the order of a message (stories.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.evidence import CI_DAYS, COMMITS_BEFORE, Ci, Commit, Facts, Part, Parts
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.scopes import HEALTH
from matokit_pipelines.alerts.content.story_shapes import Line, Table
from matokit_pipelines.alerts.content.wording import count, failed, many, name, part_failed

ROWS = {"components": 6, "systems": 6, "os_releases": 5, "architectures": 4, "errors": 4}
MOST = 0.6  # the share of failures from which one part is named as where to look
ENOUGH_CI, FEW = 5, 3
ALIKE = 4  # components that fail, from which on they are said to fail alike
LOOK_AT_MOST = 4
_OTHER = {
    "overall_success_rate": "week before",
    "new_failure_pattern": "day before",
    "high_volume_failures": "week before",
    "arch_gap": "others",
    "commit_regression": "commit before",
}


def tables(facts: Facts, wanted: Collection[str]) -> dict[str, Table]:
    """Where it fails: those of the wanted parts that hold a failure, in the order in which they are wanted."""
    other = _OTHER.get(facts.scope.rule, "week before")
    titles = {
        "components": ("Failing components", "component"),
        "systems": ("Affected systems", "system"),
        "os_releases": ("OS versions", "version"),
        "architectures": ("Architectures", "architecture"),
        "errors": ("Reported errors", "error"),
    }
    found = {}
    for key in wanted:
        title, head = titles[key]
        parts: Parts = getattr(facts, key)
        rows = [part for part in parts.rows if part.now.failures][: ROWS[key]]
        if not rows:
            continue
        left = parts.failing - len(rows)
        more = f"and {count(left)} more" if left > 0 else ""
        if key == "errors":
            cells = tuple((error(part.name), count(part.now.failures)) for part in rows)
            found[key] = Table(title, (head, "failures"), cells, more)
        else:
            now = tuple((_named(part), _now(part), _other(part)) for part in rows)
            found[key] = Table(title, (head, "failed now", other), now, more)
    return found


def changes(facts: Facts, links: Links, now: datetime) -> tuple[Line, ...]:
    """Where the failures began, and the commits first seen in the 48 hours before or since."""
    lines = [] if facts.scope.commits else list(_began(facts, links, now))
    for commit in facts.commits[:4]:
        lines.append(_commit(commit, facts, links, now))
    if not facts.commits:
        hours = int(COMMITS_BEFORE.total_seconds() // 3600)
        lines.append(Line(f"No commit was first seen in the {hours} hours before it began, or since."))
    return tuple(lines)


def in_ci(facts: Facts) -> tuple[str, ...]:
    """CI's result for each component in question."""
    return tuple(_in_ci(one, facts) for one in facts.ci[:3])


def look_first(facts: Facts, links: Links, now: datetime, *, with_commit: bool = True) -> tuple[str, ...]:
    """What stands out, as hints where to begin; nothing when nothing does. Not `with_commit` where `changes` follow."""
    return tuple(_hints(facts, links, now, with_commit=with_commit))[:LOOK_AT_MOST]


def error(text: str) -> str:
    """A kind of error as it is shown."""
    return name(text) if text and text != "not_reported" else "not reported"


def _hints(facts: Facts, links: Links, now: datetime, *, with_commit: bool) -> Iterator[str]:
    failures = facts.total.now.failures if facts.total else 0
    if not facts.scope.components and (part := _dominant(facts.components, failures)):
        rest = f"; {many(facts.components.failing - 1, 'other')} failed too" if facts.components.failing > 1 else ""
        yield f"{_of(part.now.failures, failures)} {_be(failures)} in {name(part.name)}{rest}."
    suspect = _suspect(facts, links, now)
    if suspect is not None and with_commit:
        yield suspect
    if not facts.scope.architectures and (part := _dominant(facts.systems, failures)):
        share = part.now.events / facts.total.now.events if facts.total and facts.total.now.events else 1.0
        if part.now.failures / failures > 1.25 * share:
            ran = f"which ran {count(part.now.events)} of {many(facts.total.now.events if facts.total else 0, 'event')}"
            yield f"{_of(part.now.failures, failures)} {_be(failures)} on {_named(part)}, {ran}."
    if (part := _dominant(facts.errors, failures)) and part.name not in ("", "not_reported"):
        yield f"{_of(part.now.failures, failures)} {'reports' if failures == 1 else 'report'} {error(part.name)}."
    if (spread := _spread(facts)) is not None:
        yield spread
    elif (ci := _ci_of_the_worst(facts)) and (hint := _ci_hint(ci, facts, is_suspect=suspect is not None)) is not None:
        yield hint


def _dominant(parts: Parts, failures: int) -> Part | None:
    part = parts.rows[0] if parts.rows else None
    return part if part and failures and part.now.failures >= max(2, MOST * failures) else None


def _suspect(facts: Facts, links: Links, now: datetime) -> str | None:
    """The newest commit that was first seen before the start and fails itself."""
    if facts.scope.commits:
        return None
    for commit in facts.commits:
        bad = commit.now
        if commit.first_seen <= facts.scope.started_at and bad and bad.events >= 3 and 2 * bad.failures > bad.events:
            seen = wording.clock(commit.first_seen, links.zone, now)
            share = failed(bad.failures, bad.events)
            return f"Commit {name(commit.sha)} is new, first seen {seen}: {share} with it."
    return None


def _excess(part: Part) -> float:
    """Failures beyond what the other side lets one expect."""
    usual = part.other.failures / part.other.events if part.other.events else 0.0
    return part.now.failures - usual * part.now.events


def _spread(facts: Facts) -> str | None:
    """Many components fail and none stands out: they share the cause."""
    parts = [part for part in facts.components.rows if _excess(part) >= 1]
    total = sum(map(_excess, parts))
    if facts.scope.components or len(parts) < ALIKE or max(map(_excess, parts)) > 0.4 * total:
        return None
    return (
        f"{many(facts.components.failing, 'component')} fail, none of them most: look at what all share, such as a "
        "server, the network or the commit."
    )


def _ci_of_the_worst(facts: Facts) -> Ci | None:
    """CI's result for the component that fails most beyond what is usual."""
    ranked = sorted(facts.components.rows, key=_excess, reverse=True)
    places = {part.name: place for place, part in enumerate(ranked)}
    return min(facts.ci, key=lambda ci: places.get(ci.component, len(places)), default=None)


def _ci_hint(ci: Ci, facts: Facts, *, is_suspect: bool) -> str | None:
    """What CI makes one think of; a commit that CI has hardly run may still be the cause."""
    shown, new = name(ci.component), ci.commits
    if new.events >= FEW and 4 * new.failures > new.events:
        return f"CI fails at {shown} with the new commit as well: {part_failed(new.failures, new.events)}."
    if ci.now.events < ENOUGH_CI:
        return None
    if 5 * ci.now.failures > ci.now.events:
        return f"CI fails at {shown} as well: look at the script or at what it downloads."
    if not is_green(ci):
        return None
    if new.events >= ENOUGH_CI:
        return f"CI is green for {shown} with the new commit too: look at machines, networks and downloads."
    if is_suspect or facts.scope.commits or facts.commits:
        ran = f"ran the new commit only {'once' if new.events == 1 else f'{new.events} times'}"
        return f"CI is green for {shown}, but {ran if new.events else 'has not run the new commit'}."
    return f"CI is green for {shown}: look at machines, networks and downloads."


def is_green(ci: Ci) -> bool:
    """Under 5 % of enough events failed, and of those of the commits in question not a quarter."""
    return (
        ci.now.events >= ENOUGH_CI
        and 20 * ci.now.failures < ci.now.events
        and 4 * ci.commits.failures <= ci.commits.events
    )


def _of(some: int, all_of: int) -> str:
    """`All 12 failures`, `11 of 12 failures`."""
    if some == all_of:
        return f"All {many(all_of, 'failure')}" if all_of > 1 else "The failure"
    return f"{count(some)} of {many(all_of, 'failure')}"


def _be(failures: int) -> str:
    return "is" if failures == 1 else "are"


def _in_ci(ci: Ci, facts: Facts) -> str:
    shown = name(ci.component)
    if not ci.now.events:
        return f"{shown}: CI did not run it in {CI_DAYS} days."
    said = f"{shown}: {failed(ci.now.failures, ci.now.events)} in CI in {CI_DAYS} days"
    if facts.commits and ci.commits.events:
        said += f", {part_failed(ci.commits.failures, ci.commits.events)} of the commits above"
    fails_here = any(part.name == ci.component and 5 * part.now.failures > part.now.events for part in _all(facts))
    return said + (": CI green, production failing." if is_green(ci) and fails_here else ".")


def _all(facts: Facts) -> tuple[Part, ...]:
    return facts.components.rows


def _began(facts: Facts, links: Links, now: datetime) -> Iterator[Line]:
    began = facts.began
    if began is None:
        return
    what = "" if facts.scope.components and len(facts.scope.components) == 1 else f" in {name(began.component)}"
    commit = f"with commit {name(began.commit)}" if began.commit else "without a known commit"
    yield Line(
        f"Failures began {wording.clock(began.at, links.zone, now)}{what}, {commit}, on {name(began.os_release)} "
        f"{name(began.architecture)}: the first after ten successes in a row."
    )


def _commit(commit: Commit, facts: Facts, links: Links, now: datetime) -> Line:
    start, what = (facts.began.at, "failures began") if facts.began else (facts.scope.started_at, "the start")
    seen = wording.clock(commit.first_seen, links.zone, now)
    before = commit.first_seen <= start
    apart = wording.lasting(start - commit.first_seen if before else commit.first_seen - start)
    when = f", {apart} {'before' if before else 'after'} {what}"
    if facts.scope.commits or (facts.scope.rule in HEALTH and not facts.began):  # a daily rule starts at its run
        when = ""
    elif facts.began and facts.began.commit == commit.sha and apart == "0 min":
        when = ", with the first failure"
    details: tuple[str, ...] = ()
    if commit.now is not None:
        details = (f"{failed(commit.now.failures, commit.now.events)} with it",) if commit.now.events else ()
    url = links.compare(commit.previous, commit.sha)
    link = f"Changes since {name(commit.previous)}" if commit.previous else "Its changes"
    return Line(f"Commit {name(commit.sha)} first seen {seen}{when}", details, url, link if url else "")


def _named(part: Part) -> str:
    return f"{name(part.name)} {name(part.detail)}" if part.detail else name(part.name)


def _now(part: Part) -> str:
    return part_failed(part.now.failures, part.now.events)


def _other(part: Part) -> str:
    return part_failed(part.other.failures, part.other.events)
