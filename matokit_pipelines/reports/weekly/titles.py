"""Titles of the weekly summary's sections: each states what its section shows.

Templates over the document (marking.py). Not here: headline and details (words.py), alerts (alert_words.py).
"""

from __future__ import annotations

from matokit_pipelines.reports.completeness import many
from matokit_pipelines.reports.weekly.shapes import Commit, WeeklyNumbers

NAMED = 3  # as many of a kind are named before the reader has to look into the tables


def trend(numbers: WeeklyNumbers) -> str:
    found = numbers.trend
    if found.lowest_day is None:
        return "No day has enough events for a rate"
    lowest = "{trend.lowest_day|weekday}: {trend.lowest_rate|percent}"
    if not found.days_below:
        return f"No day below 75\u00a0%; the lowest is {lowest}"
    days = many(found.days_below, "day", "days")
    return f"{{trend.days_below|count}} {days} below 75\u00a0%, the lowest {lowest}"


def failing(numbers: WeeklyNumbers) -> str:
    rows = numbers.failing.rows
    if not rows:
        return "No component failed this week"
    if rows[0].this_week.small:
        return "Only components with fewer than 10 events failed"
    noun = many(rows[0].this_week.failures, "failure", "failures")
    before = ", {failing.rows.0.week_before.failures|count} the week before" if numbers.totals.before_is_known else ""
    return f"{{failing.rows.0.component|text}} fails most: {{failing.rows.0.this_week.failures|count}} {noun}{before}"


def new_os(numbers: WeeklyNumbers) -> str:
    if not numbers.new_os_is_known:
        return "Which OS versions are new is not known yet"
    found = len(numbers.new_os)
    if not found:
        return "No new OS version"
    names = [f"{{new_os.{row}.os_release|text}}" for row in range(min(found, NAMED))]
    if found > NAMED:
        return f"{', '.join(names)} and others are new"
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{listed} {many(found, 'is', 'are')} new"


def commits(numbers: WeeklyNumbers) -> str:
    rows = numbers.commits.rows
    if not rows:
        return "No event of this week names a commit"
    for word in ("worse", "better"):
        for place, commit in enumerate(rows):
            if commit.verdict == word:
                before = held_against(place, commit)
                return f"Commit {{commits.rows.{place}.commit_sha|text}} did {word} than {before}, more than chance"
    if all(commit.verdict == "too few" for commit in rows):
        return "Too few first tries to judge a commit"
    return "No commit did better or worse by more than chance"


def adoption(numbers: WeeklyNumbers) -> str:
    found = numbers.adoption.architectures
    if not found:
        return "No installation in these eight weeks"
    if found[0].shares[-1].share is None:
        return "No installation this week"
    change = "" if found[0].change_one_week is None else ", {adoption.architectures.0.change_one_week|points} in a week"
    return (
        "{adoption.architectures.0.architecture|text} has {adoption.architectures.0.shares.7.share|percent} of "
        f"installations{change}"
    )


def quality(numbers: WeeklyNumbers, incomplete: tuple[str, ...]) -> str:
    if incomplete:
        return "The data behind this page are incomplete"
    return "Data are complete to the end of the week"


def held_against(place: int, commit: Commit) -> str:
    """Whose first tries a verdict rests on: the previous commit only where it alone had enough of them."""
    at = f"commits.rows.{place}"
    if commit.baseline_commits == 1 and commit.predecessor.events >= commit.baseline_units:
        return f"{{{at}.predecessor_sha|text}} before it"
    return f"the {{{at}.baseline_commits|count}} {many(commit.baseline_commits, 'commit', 'commits')} before it"
