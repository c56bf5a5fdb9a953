"""ExplainAlert: why an alert fired: its numbers, the rule's thresholds, the guard, what is around it, what to do.

Not here: the conditions in words (alerts/why_words.py), what became of it (alerts/why.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from matokit_pipelines.alerts import store
from matokit_pipelines.alerts import why as reasons
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.headlines import headline, with_usual_of
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.verdicts import ALL, Input
from matokit_pipelines.alerts.why import Kept
from matokit_pipelines.alerts.why_words import outcome, parts
from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.errors import NothingPublished, WarehouseError
from matokit_pipelines.toolserver.installer.alert_reading import Known, back, is_silenced, known, row_of
from matokit_pipelines.toolserver.installer.alerts import RULE, AlertRow, check_rule
from matokit_pipelines.toolserver.installer.answering import stamp
from matokit_pipelines.toolserver.installer.kept import made_worse
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import UTC, Answered, Result
from matokit_pipelines.toolserver.installer.words import instant, joined, many, shown
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Parameters
from matokit_pipelines.toolserver.problems import refused
from matokit_pipelines.toolserver.tools import Answer

KEPT_DAYS = 90
LISTED = 10
PAGED_FOR = timedelta(hours=24)
COMMITS_BACK = timedelta(hours=48)
COMMITS, COMPONENTS = 5, 3


class ExplainParameters(Parameters):
    """Which alert."""

    id: str | None = Field(
        None,
        description="id of GetAlerts. Default: the newest alert that people were told of, a critical one of the last "
        "24 hours before all others.",
    )
    rule: str | None = Field(None, description=RULE)
    component: str | None = Field(None, description="The newest alert of this component, architecture or commit.")


class Condition(Result):
    """One condition of the rule as it started."""

    of: str = Field(description="trigger: the rule as printed; guard: whether it is more than chance.")
    met: bool | None = Field(description="null: told to understand the others.")
    sentence: str = Field(description="What was found and what is wanted.")


class NearCommit(Result):
    """A commit that was first seen shortly before the alert."""

    commit: str
    first_seen: str = Field(description=f"First production event, {UTC}.")
    verdict: str | None = Field(description="worse, better, could be chance or too few; null: not judged.")
    components_made_worse: list[str] = Field(description="By more than chance, at most three.")
    link: str = Field(description='What came with it; "" without project.repository_url.')


class Explained(Answered):
    """Answer of ExplainAlert."""

    alert: AlertRow | None = Field(description="The alert; null when there was none in 90 days.")
    why: str | None = Field(description="What the rule said when it started.")
    conditions: list[Condition] = Field(description="Trigger, then guard, with thresholds.")
    numbers: dict[str, float | int | str | bool | None] = Field(
        description="What the rule counted when it started: n events, failures, units (first tries), shares 0 to 1."
    )
    now: str | None = Field(description="The same at the newest evaluation; null when it is over.")
    aftermath: list[str] = Field(description="Who was told, what held it back, how it ended.")
    commits_before: list[NearCommit] = Field(description="First seen in the 48 hours before, the newest first.")
    what_to_do: str
    runbook: str = Field(description="The rule's heading in the runbook.")
    page: str = Field(description='The page that tells a person the same; "" without links.public_url.')


def explain_alert(kit: Kit, asked: ExplainParameters) -> Answer:
    """Why an alert fired."""
    if asked.rule is not None:
        check_rule(asked.rule)
    now, links = kit.clock.now(), Links.of(kit.loaded)
    with known(kit, since=back(now, KEPT_DAYS)) as found:
        matter = _chosen(asked, found, now)
        if matter is None or found.connection is None:
            return _nothing(found)
        episode = matter.episode
        alerts, zone = kit.loaded.settings.alerts, kit.loaded.settings.project.zone
        run = store.evaluation_at(
            found.connection, episode.rule, episode.subject, episode.environment, episode.first.at
        )
        kept = Kept(episode.first, run, exact=True)
        aftermath = reasons.aftermath(found.connection, kept, alerts, zone, now)
        conditions = parts(episode.first, alerts, zone)
        commits = _commits(kit, episode, links)
        row = row_of(matter, found, kit, links, now)
        value: dict[str, Any] = {
            "summary": _sentence(kit, matter, found, commits, links), "as_of": stamp(found.evaluated_to),
            "alert": row, "why": outcome(episode.first, zone),
            "conditions": [{"of": one.of, "met": one.met, "sentence": _short(one.sentence)} for one in conditions],
            "numbers": {name: _number(given) for name, given in episode.first.inputs.items()},
            "now": None if episode.ended_at else _sentence_of_last(episode, links, kit),
            "aftermath": [_short(line.strip()) for line in aftermath][:LISTED],
            "commits_before": commits, "what_to_do": _what_to_do(episode, commits, links),
            "runbook": links.runbook(episode.rule), "page": links.alert(episode),
        }  # fmt: skip
        return Answer(value, found.evaluated_to)


def _chosen(asked: ExplainParameters, found: Known, now: datetime) -> Matter | None:
    matters = list(found.matters)
    if asked.id is not None:
        wanted = asked.id.strip().lower()
        for matter in matters:
            if matter.episode.id == wanted:
                return matter
        listed = ", ".join(f"{one.episode.id} ({one.episode.rule})" for one in matters[-LISTED:][::-1]) or "none"
        raise refused(
            f'There is no alert "{shown(asked.id)}" of the last {KEPT_DAYS} days.',
            f"Take an id of GetAlerts, or none for the newest alert. The newest are {listed}.",
        )
    about = asked.component.strip().lower() if asked.component else None
    fitting = [
        matter for matter in matters
        if asked.rule in (None, matter.episode.rule) and about in (None, matter.episode.subject.lower())
    ]  # fmt: skip
    if not fitting:
        if matters and (asked.rule or asked.component):
            raise refused(
                f"No alert of {' and '.join(shown(one) for one in (asked.rule, asked.component) if one)} in "
                f"{KEPT_DAYS} days.",
                "GetAlerts with state=all lists those there were.",
            )
        return None
    return max(
        fitting,
        key=lambda matter: (
            matter.telling.told_at is not None,
            _paged(matter, now),
            matter.telling.told_at or matter.episode.started_at,
            matter.episode.ended_at is None,
            matter.episode.fingerprint,
        ),
    )


def _paged(matter: Matter, now: datetime) -> bool:
    """Whether it is what somebody was woken by."""
    told = matter.telling.told_at
    return matter.episode.severity == "critical" and told is not None and now - told <= PAGED_FOR


def _nothing(found: Known) -> Answer:
    when = f" up to {instant(found.evaluated_to)}" if found.evaluated_to else "; rules were never evaluated"
    value: dict[str, Any] = {
        "summary": f"No alert fired in the last {KEPT_DAYS} days{when}.", "as_of": stamp(found.evaluated_to),
        "alert": None, "why": None, "conditions": [], "numbers": {}, "now": None, "aftermath": [],
        "commits_before": [], "what_to_do": "Nothing.", "runbook": "", "page": "",
    }  # fmt: skip
    return Answer(value, found.evaluated_to)


def _commits(kit: Kit, episode: Episode, links: Links) -> list[dict[str, Any]]:
    """From the snapshot in service; none where there is none."""
    began = min(episode.began_at or episode.started_at, episode.started_at)
    span = {"start": began - COMMITS_BACK, "end": episode.started_at}
    try:
        with kit.snapshots.reading() as reader:
            rows = reader.rows(query("commits_before"), span)[:COMMITS]
            worse = made_worse(kit.snapshots, reader)
    except (NothingPublished, WarehouseError):
        return []
    return [
        {
            "commit": row["commit_sha"], "first_seen": stamp(row["first_seen"]), "verdict": row["verdict"],
            "components_made_worse": [shown(name) for name in worse.get(row["commit_sha"], [])[:COMPONENTS]],
            "link": links.compare(row["predecessor_sha"], row["commit_sha"]),
        }
        for row in rows
    ]  # fmt: skip


def _sentence(kit: Kit, matter: Matter, found: Known, commits: list[dict[str, Any]], links: Links) -> str:
    """What failed, when, why it was told, and the commit that may have done it."""
    episode, now = matter.episode, kit.clock.now()
    said = headline(episode.first, links, now)
    name = wording.RULE_NAMES.get(episode.rule, episode.rule)
    odds = wording.chance(wording.number(episode.first.inputs, "chance"), episode.rule)
    rare = f"; {odds}" if odds else ""
    told = matter.telling.told_at
    people = f"people were told {instant(told)}" if told else "nobody was told"
    if not told and is_silenced(matter, found, now):
        people = "a silence holds its messages back"
    over = f"; it ended {instant(episode.ended_at)}" if episode.ended_at else "; it is still open"
    worse = [commit for commit in commits if commit["verdict"] == "worse"]
    near = worse or commits
    made = worse[0]["components_made_worse"] if worse else []
    effect = f" and made {joined(made) if made else 'production'} worse by more than chance" if worse else ""
    what = f" Commit {near[0]['commit']} was first seen shortly before it{effect}." if near else ""
    others = sum(one.episode.ended_at is None for one in found.matters) - (episode.ended_at is None)
    if others:
        what += f" {many(others, 'other alert')} {'is' if others == 1 else 'are'} open; GetAlerts lists them."
    return (
        f'The {episode.severity} alert "{name}" started {instant(episode.started_at)} because of this: '
        f"{cut(said, 300)}{rare}; {people}{over}.{what}"
    )


def _sentence_of_last(episode: Episode, links: Links, kit: Kit) -> str:
    last = with_usual_of(episode.last, episode.first)
    return f"{cut(headline(last, links, kit.clock.now()), 300)} ({instant(episode.last.at)})."


def _what_to_do(episode: Episode, commits: list[dict[str, Any]], links: Links) -> str:
    """The next steps in one or two sentences; the runbook has more."""
    if episode.rule == "data_stale":
        return "Call GetDataStatus, then have the operator run `matokit status` where the data are read."
    if episode.rule == "no_events":
        return "Call GetDataStatus: if the data are complete, nobody installs or the senders fail; else reading fails."
    steps = []
    worse = [one for one in commits if one["verdict"] == "worse"]
    if worse:
        link = f" ({worse[0]['link']})" if worse[0]["link"] else ""
        steps.append(f"Look at commit {worse[0]['commit']}{link}, and roll it back if it explains the failures.")
    elif commits:
        steps.append(f"Look at {many(len(commits), 'commit')} first seen in the 48 hours before.")
    if episode.rule == "commit_regression":
        steps.append(f"Call GetCommitRegressions with commit={wording.name(episode.subject)}.")
    elif episode.subject != ALL and episode.rule != "arch_gap":
        steps.append(f"Call GetComponentHealth with component={wording.name(episode.subject)}.")
    else:
        steps.append("Call GetComponentHealth, GetArchitectureCompatibility and GetErrorTypes to see what fails where.")
    if commits and not worse:
        steps.append("No commit is proven guilty.")
    return " ".join(steps)


def _short(text: str) -> str:
    return cut(one_line(text), 400)


def _number(value: Input) -> Input:
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value else None
    return shown(value) if isinstance(value, str) else value
