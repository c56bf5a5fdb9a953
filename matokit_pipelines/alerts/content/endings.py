"""Why an episode counts as over, and whether failures go on all the same.

A rule may no longer hold although nothing recovered: the time that it compares with holds failures of its own by then,
or too few events come to judge. Whoever reads that it is over must not take it for healthy. Not here: the rest of the
message (stories.py), when it is over (lifecycle.py).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.headlines import usual_share
from matokit_pipelines.alerts.content.scopes import HEALTH, WITHOUT_EVENTS
from matokit_pipelines.alerts.content.wording import whole
from matokit_pipelines.alerts.verdicts import Verdict

LEAST_EXCESS = 0.05  # a share that is not so much above what was usual is well


def still_fails(episode: Episode, settings: AlertSettings) -> bool:
    """Whether an episode is over by its rule alone: at its end the rule's own share is still missed, or at least half
    as much as at the worst fails beyond what was usual before it began."""
    share = _share(episode.last)
    if episode.end_reason != "recovered" or episode.rule in WITHOUT_EVENTS or not share:
        return False
    limit: float | None = getattr(getattr(settings.rules, episode.rule, None), "below_percent", None)
    if limit is not None:
        return 100 * (1 - share) < limit
    usual, worst = _usual(episode.first), _share(episode.worst) or 0.0
    return share - usual >= max(LEAST_EXCESS, (worst - usual) / 2)


def reason_of(episode: Episode, settings: AlertSettings) -> str:
    """Why an episode counts as over, or was closed."""
    rule: Any = getattr(settings.rules, episode.rule, None)
    match episode.end_reason:
        case "not_confirmed":
            return "not confirmed by complete data"
        case "no_longer_measurable" if episode.rule == "commit_regression":
            hours = settings.rules.commit_regression.hours_after
            return f"no longer measurable: a commit is watched for {hours} hours; nobody knows whether it is better"
        case "no_longer_measurable":
            return "no longer measurable: no events for a day, so nobody knows whether it is over"
    if still_fails(episode, settings):
        return f"{_no_longer(episode, rule)}; failures go on"
    if episode.rule in HEALTH:
        return "the condition did not hold at the daily run"
    if episode.rule == "data_stale" or rule is None:
        return "the condition no longer holds"
    return f"the condition has not held for {_keep(rule)}"


def _no_longer(episode: Episode, rule: Any) -> str:
    """What ended the condition of a rule, other than that it became well."""
    n, before = whole(episode.last.inputs, "n") or 0, whole(episode.last.inputs, "before_failures")
    match episode.rule:
        case "overall_success_rate" if n <= rule.min_events:
            return f"too few events to judge for {_keep(rule)}, more than {rule.min_events:,} are needed"
        case "new_failure_pattern":
            span = "the day" if rule.before_hours == 24 else f"the {rule.before_hours} hours"
            return f"no longer new, as {span} before is no longer above {rule.before_above_percent:g} %"
        case "new_component_failure" if before:
            return "no longer new, as the days before hold failures too"
        case "arch_gap":
            return f"no longer {rule.gap_points:g} points worse than all others"
        case "high_volume_failures":
            return f"no longer over {rule.failures_above:,} failures, for {_keep(rule)}"
        case "commit_regression":
            return f"no longer {rule.drop_points:g} points worse than before it"
        case "success_drop_7d":
            return f"no longer {rule.drop_points:g} points worse than the days before"
    return "the condition no longer holds"


def _keep(rule: Any) -> str:
    return wording.lasting(timedelta(minutes=rule.keep_firing))


def _share(verdict: Verdict) -> float | None:
    """The share that failed; None where nothing was counted."""
    n, failures = whole(verdict.inputs, "n"), whole(verdict.inputs, "failures")
    return None if verdict.state != "ok" or not n or failures is None else failures / n


def _usual(verdict: Verdict) -> float:
    """The share of failures before it began, as far as that is known."""
    usual = usual_share(verdict)
    before, failures = whole(verdict.inputs, "before_n"), whole(verdict.inputs, "before_failures")
    if usual is None and before and failures is not None:
        return failures / before
    return usual or 0.0
