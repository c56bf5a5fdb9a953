"""What the weekly summary says of alerts: the one that makes the headline, how many there were, what is known.

Sentences are templates over the document (marking.py). Not here: which alerts there were (alerts/period.py).
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from matokit_pipelines.alerts.period import AlertsOfPeriod, PeriodAlert, named
from matokit_pipelines.reports.completeness import many

FIRST_TRIES = ("slow_regression",)  # a rule that counts those and not events
ENDED = {
    "recovered": "recovered",
    "failures_go_on": "its rule no longer holds, but failures go on",
    "no_longer_measurable": "it can no longer be measured",
    "not_confirmed": "complete data did not confirm it",
}


def recent(alerts: AlertsOfPeriod | None) -> int | None:
    """The place of the gravest production alert that fired in the period or still did at its end; None without one."""
    if alerts is None:
        return None
    of_installers = named(alerts.alerts)
    for place, alert in enumerate(alerts.alerts):
        if alert in of_installers and (alert.fired or alert.standing == "firing"):
            return place
    return None


def headline(alerts: AlertsOfPeriod, place: int, zone: ZoneInfo) -> str:
    """The sentence about one alert: what, since when, how bad it was."""
    alert, at = alerts.alerts[place], f"alerts.alerts.{place}"
    worst = f"; {worst_of(alert, at)}" if alert.events is not None else ""
    began = f"{{{at}.started_at|instant}}"
    if alert.standing == "firing":
        return f"An alert was still firing when the week ended: {who(alert, at)}, since {began}{worst}."
    left = alerts.installers_firing or 0
    others = many(left, "other was", "others were")
    firing = f"; {{alerts.installers_firing|count}} {others} still firing when the week ended" if left else ""
    if alert.standing == "recovered":
        return f"An alert fired and recovered: {who(alert, at)}, {span(alert, at, zone)}{worst}{firing}."
    return f"An alert fired: {who(alert, at)}, {began}{worst}; {ENDED[alert.standing]}{firing}."


def subject(alerts: AlertsOfPeriod, place: int) -> str:
    """The same on a few words, for a mail."""
    alert, at = alerts.alerts[place], f"alerts.alerts.{place}"
    about = f"{{{at}.subject|text}}" if alert.subject is not None else f"{{{at}.name|text}}"
    return f"{about}: alert {'firing' if alert.standing == 'firing' else 'fired'}"


def who(alert: PeriodAlert, at: str) -> str:
    """What an alert is about: its subject and the rule."""
    return f"{{{at}.subject|text}} ({{{at}.name|text}})" if alert.subject is not None else f"{{{at}.name|text}}"


def span(alert: PeriodAlert, at: str, zone: ZoneInfo) -> str:
    """When an alert that is over began and ended; the day is said once."""
    days = {edge.astimezone(zone).date() for edge in (alert.started_at, alert.ended_at) if edge}
    return f"{{{at}.started_at|instant}} to {{{at}.ended_at|{'clock' if len(days) == 1 else 'instant'}}}"


def worst_of(alert: PeriodAlert, at: str) -> str:
    """`at the worst 13 of 25 events failed`."""
    return f"at the worst {{{at}.failures|count}} of {{{at}.events|count}} {tries_of(alert.rule, alert.events)} failed"


def tries_of(rule: str, counted: int | None) -> str:
    """What a rule counts: events or first tries."""
    one = "first try" if rule in FIRST_TRIES else "event"
    return many(counted or 0, one, "first tries" if rule in FIRST_TRIES else "events")


def counts(alerts: AlertsOfPeriod) -> str | None:
    """How many alerts there were, where that is known and more than one."""
    if len(alerts.alerts) + alerts.more_alerts < 2:
        return None
    return f"{_fired(alerts)}; {{alerts.still_firing|count}} {_were(alerts)} firing when it ended."


def title(alerts: AlertsOfPeriod | None) -> str:
    """The title of the section of alerts."""
    if alerts is None or alerts.known_from is None:
        return "Nothing is known of this week's alerts"
    if alerts.known == "nothing":
        return _NO_LONGER
    if not alerts.fired and not alerts.still_firing:
        return "No alert fired" + (" in the part of the week that is known" if alerts.known == "part" else "")
    firing = f"; {{alerts.still_firing|count}} {_were(alerts)} firing when it ended"
    return _fired(alerts) + (firing if alerts.still_firing else ", all of them over")


_NO_LONGER = "The alerts of this week are no longer known"


def known(alerts: AlertsOfPeriod | None) -> str | None:
    """How much of the week is known, where that is not all of it."""
    if alerts is None or alerts.known_from is None:
        return "Alerts are off, or no rule was ever evaluated."
    if alerts.known == "all":
        return None
    return (
        "Evaluations are kept for ninety days; those that are known reach from {alerts.known_from|instant_of_year} to "
        "{alerts.evaluated_to|instant_of_year}."
    )


def _were(alerts: AlertsOfPeriod) -> str:
    return many(alerts.still_firing or 0, "was", "were")


def _fired(alerts: AlertsOfPeriod) -> str:
    return f"{{alerts.fired|count}} {many(alerts.fired or 0, 'alert', 'alerts')} fired this week"
