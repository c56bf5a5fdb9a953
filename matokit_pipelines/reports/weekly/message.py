"""The weekly summary as a message: finding, changes, three numbers, charts and the tables that matter most.

Not here: how a message of a report looks (reports/mail.py), the numbers and the sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.delivery.messages import Image, Message
from matokit_pipelines.reports.formats import NOTHING
from matokit_pipelines.reports.mail import Figure, Part, Table, brief, report_message
from matokit_pipelines.reports.marking import Marker
from matokit_pipelines.reports.weekly import charts
from matokit_pipelines.reports.weekly.alert_words import ENDED, span, who, worst_of
from matokit_pipelines.reports.weekly.shapes import WeeklyNumbers, WeekTotal
from matokit_pipelines.reports.weekly.words import findings
from matokit_pipelines.windows import zone_named

ALERTS_SHOWN = 3
_MADE_FROM = " from data complete to {watermark|instant_of_year}"
_NOT_COMPARABLE = "the week before is not comparable"
_JUDGED = "First tries of machines in the first 24 hours of a commit and before it, at the same mix of components."
_WORDS = {"worse": "worse, more than chance", "better": "better, more than chance"}


def weekly_message(numbers: WeeklyNumbers, document: Mapping[str, Any], text: str, links: Links) -> Message:
    """The message of one week, charts included. `document` and `text` are those of the page."""
    zone = zone_named(numbers.zone)
    marker, words = Marker(brief(document), zone, html=False), findings(numbers)
    pictures = charts.pictures(numbers, zone)
    return report_message(
        subject=marker.say(words.subject),
        over=marker.say(
            "Weekly operations summary · {period.label|text} · {period.first_day|weekday} to "
            "{period.last_day|weekday_of_year} · production"
        ),
        headline=marker.say(words.headline),
        text=text,
        figures=tuple(_figures(numbers, marker)),
        incomplete=[marker.say(one) for one in words.incomplete],
        changes=[marker.say(one) for one in words.details],
        parts=tuple(_parts(numbers, marker, pictures)),
        page_url=links.report("weekly", numbers.period.label),
        footer=(
            marker.say(f"Made {{now|instant_of_year}}{_MADE_FROM if numbers.watermark else ''}."),
            "“More than chance” compares first tries of machines; installations and machines are estimates.",
        ),
    )


def _figures(numbers: WeeklyNumbers, marker: Marker) -> Iterator[Figure]:
    totals, this_week = numbers.totals, numbers.totals.this_week
    before = "; {totals.week_before.machines|count} the week before" if totals.before_is_known else ""
    yield Figure(
        "Installations (estimate)",
        marker.say("{totals.this_week.installations|count}"),
        marker.say(f"{_change('installations', numbers)}; {{totals.this_week.rates.events|count}} events"),
    )
    notes = []
    if totals.success_rate is not None:
        notes = [marker.say("{totals.success_rate|points}, ") + _WORDS.get(totals.verdict, totals.verdict)]
    notes += [marker.say("{totals.week_before.rates.success_rate|percent} the week before")] if _has(totals) else []
    if this_week.rates.events:
        at = "totals.this_week.rates.success_rate"
        notes.append(marker.say(f"interval {{{at}_low|percent}} to {{{at}_high|percent}}"))
    yield Figure("Success rate", marker.say("{totals.this_week.rates.success_rate|percent}"), "; ".join(notes))
    yield Figure(
        "Machines (estimate)",
        marker.say("{totals.this_week.machines|count}"),
        marker.say(_change("machines", numbers) + before),
    )


def _has(totals: Any) -> bool:
    week: WeekTotal = totals.week_before
    return bool(week.rates.events)


def _change(of: str, numbers: WeeklyNumbers) -> str:
    found = getattr(numbers.totals, of)
    if found is None:
        return _NOT_COMPARABLE
    share = f", {{totals.{of}.percent|percent_change}}" if found.percent is not None else ""
    return f"{{totals.{of}.absolute|change}}{share}"


def _parts(numbers: WeeklyNumbers, marker: Marker, pictures: Mapping[str, bytes]) -> Iterator[Part]:
    words = findings(numbers)
    if numbers.alerts is not None and numbers.alerts.alerts:
        yield Part(marker.say(words.alerts_title), lines=tuple(_alerts(numbers, marker)), more=_more(numbers))
    if "trend" in pictures:
        title = marker.say(words.trend_title)
        alt = f"Daily success rate over two weeks with its interval. {title}."
        yield Part(title, image=Image("trend.png", alt, pictures["trend"]))
    if numbers.failing.rows:
        title = marker.say(words.failing_title)
        alt = f"Failures by component, this week and the week before. {title}."
        yield Part(title, image=Image("failing.png", alt, pictures["failing"]), table=_failing(numbers, marker))
    if numbers.commits.rows:
        yield Part(
            marker.say(words.commits_title), note=_JUDGED,
            table=_commits(numbers, marker),
        )  # fmt: skip
    if numbers.new_os:
        yield Part(marker.say(words.new_os_title), table=_new_os(numbers, marker))
    if numbers.adoption.architectures:
        title = marker.say(words.adoption_title)
        alt = f"Share of installations by architecture over eight weeks. {title}."
        yield Part(title, image=Image("adoption.png", alt, pictures["adoption"]))


def _alerts(numbers: WeeklyNumbers, marker: Marker) -> Iterator[str]:
    for place, alert in enumerate(numbers.alerts.alerts[:ALERTS_SHOWN] if numbers.alerts else ()):
        at = f"alerts.alerts.{place}"
        worst = f"; {worst_of(alert, at)}" if alert.events is not None else ""
        if alert.standing == "firing":
            yield marker.say(f"{who(alert, at)}: still firing, since {{{at}.started_at|instant}}{worst}.")
        else:
            when = span(alert, at, zone_named(numbers.zone))
            yield marker.say(f"{who(alert, at)}: {when}, {ENDED[alert.standing]}{worst}.")


def _more(numbers: WeeklyNumbers) -> str:
    found = numbers.alerts
    left = 0 if found is None else max(0, len(found.alerts) - ALERTS_SHOWN) + found.more_alerts
    return f"and {left:,} more on the page." if left else ""


def _failing(numbers: WeeklyNumbers, marker: Marker) -> Table:
    rows = []
    for place, row in enumerate(numbers.failing.rows):
        at = f"failing.rows.{place}"
        before = "{week_before.failures|count} of {week_before.events|count}" if row.week_before.events else ""
        rows.append(
            (
                marker.say(
                    f"{{{at}.component|text}}\n{{{at}.machines_failing|count}} of {{{at}.machines|count}} machines"
                ),
                marker.say(f"{{{at}.this_week.failures|count}}\nof {{{at}.this_week.events|count}}"),
                marker.say(f"{{{at}.this_week.success_rate|percent}}"),
                marker.say(f"{{{at}.week_before.success_rate|percent}}\n{before.replace('{', f'{{{at}.')}"),
                marker.say(f"{{{at}.success_rate|points}}\n") + row.verdict,
            )
        )
    return Table(("Component", "Failures", "Success", "Week before", "Change"), rows, extra=3)


def _commits(numbers: WeeklyNumbers, marker: Marker) -> Table:
    rows = []
    for place, row in enumerate(numbers.commits.rows):
        at = f"commits.rows.{place}"
        rows.append(
            (
                marker.say(f"{{{at}.commit_sha|text}}\nfirst seen {{{at}.first_seen|instant}}"),
                marker.say(f"{{{at}.this_week.events|count}}"),
                marker.say(_tries(f"{at}.unit_failures", f"{at}.units", f"{at}.unit_failure_share", row.units)),
                marker.say(
                    _tries(
                        f"{at}.baseline_unit_failures",
                        f"{at}.baseline_units",
                        f"{at}.expected_share",
                        row.baseline_units,
                    )
                ),
                row.verdict,
            )
        )
    head = ("Commit", "Events this week", "First tries failed", "Before it", "Verdict")
    return Table(head, rows, more=numbers.commits.others, extra=1)


def _tries(failed: str, tries: str, share: str, found: int) -> str:
    """First tries that failed, and which share that is; a dash without any."""
    return f"{{{failed}|count}} of {{{tries}|count}}\n{{{share}|percent}}" if found else NOTHING


def _new_os(numbers: WeeklyNumbers, marker: Marker) -> Table:
    rows = []
    for place in range(len(numbers.new_os)):
        at = f"new_os.{place}"
        rows.append(
            (
                marker.say(f"{{{at}.os_release|text}}\nfirst seen {{{at}.first_seen|instant}}"),
                marker.say(f"{{{at}.machines|count}}"),
                marker.say(f"{{{at}.rates.events|count}}"),
                marker.say(f"{{{at}.rates.success_rate|percent}}"),
            )
        )
    return Table(("Version", "Machines", "Events", "Success"), rows, more=numbers.more_new_os)
