"""The daily report as a message for mail and Slack: the finding, three numbers, a table of components, what to look at.

Not here: the form of report messages (reports/mail.py), the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.delivery.messages import Image, Message
from matokit_pipelines.reports.daily import charts
from matokit_pipelines.reports.daily.cases import rows_of
from matokit_pipelines.reports.daily.shapes import DailyNumbers, Failures
from matokit_pipelines.reports.daily.words import findings
from matokit_pipelines.reports.mail import Figure, Part, Table, brief, report_message
from matokit_pipelines.reports.marking import Marker
from matokit_pipelines.reports.theme import MAIL, png
from matokit_pipelines.windows import zone_named

LOOKED_AT = 3  # components that are told in more than a row: more than chance, or of enough events
DRAWN = 5


def daily_message(numbers: DailyNumbers, document: Mapping[str, Any], text: str, links: Links) -> Message:
    """The message of one morning; `text`: the text twin of the page, `document`: its JSON."""
    marker = Marker(brief(document), zone_named(numbers.zone), html=False)
    words, say = findings(numbers), marker.say
    day = say("{period.last_day|weekday}")
    return report_message(
        subject=f"Component health {day}: {say(words.subject)}",
        over=f"Component health \u00b7 {say(words.window)} \u00b7 production",
        headline=say(words.headline),
        text=text,
        figures=tuple(_figures(numbers, marker)),
        incomplete=[say(one) for one in words.incomplete],
        changes=[say(one) for one in words.details],
        parts=tuple(_parts(numbers, marker)),
        page_url=links.report("daily", numbers.period.label),
        footer=(
            say("Data complete to {watermark|instant_of_year}; made {now|instant_of_year}. Times are {zone|text}."),
            say(words.why),
        ),
    )


def _figures(numbers: DailyNumbers, marker: Marker) -> Iterator[Figure]:
    totals, say = numbers.totals, marker.say
    if numbers.window_end is None:
        return
    usual = ", {totals.four_weeks.failure_rate|percent} in 28 days before" if totals.four_weeks.events else ""
    note = say(f"{{totals.counts.failure_rate|percent}}{usual}") if totals.counts.events else ""
    yield Figure("Events that failed", say("{totals.counts.failures|count} of {totals.counts.events|count}"), note)
    yield Figure(
        "Components above 10\u00a0%",
        say("{totals.listed|count} of {totals.components|count}"),
        say("{totals.listed_enough|count} with 10 events or more"),
    )
    yield Figure("Machines failing (estimate)", say("{totals.machines_failing|count} of {totals.machines|count}"))


def _parts(numbers: DailyNumbers, marker: Marker) -> Iterator[Part]:
    words, say = findings(numbers), marker.say
    rows = rows_of(numbers)
    if rows:
        more = numbers.others_more
        yield Part(
            title="Components above 10\u00a0%, or with a rule met more than chance",
            image=_image(numbers),
            table=Table(
                head=("Component", "Failed", "28 days before", "Machines failing"),
                rows=[
                    (
                        say(f"{{{at}.component|text}}"),
                        _counts(marker, f"{at}.counts", row.counts),
                        _counts(marker, f"{at}.four_weeks", row.four_weeks),
                        say(f"{{{at}.machines_failing|count}} of {{{at}.machines|count}}"),
                    )
                    for at, row in rows
                ],
                more=more,
            ),
        )
    for place, (one, said) in enumerate(list(zip(numbers.components, words.cards, strict=True))[:LOOKED_AT]):
        if one.row.counts.small and not one.row.rules:
            break
        at = f"components.{place}"
        lines = [*([f"{'; '.join(said.marks)}."] if said.marks else []), *said.since, said.ci]
        lines += [f"On {', '.join(_systems(numbers, place))}."] if one.systems else []
        lines += (
            [f"Commits first seen in the 48 hours before: {', '.join(_commits(at, numbers, place))}."]
            if one.commits
            else []
        )
        lines += [f"Errors: {said.errors}."] if said.errors else []
        yield Part(title=say(f"{{{at}.row.component|text}}"), note=say(said.usual), lines=[say(line) for line in lines])
    if words.ended:
        yield Part(title="Not met any more", lines=[say(one) for one in words.ended])


def _counts(marker: Marker, at: str, counts: Failures) -> str:
    if not counts.events:
        return "no events"
    return marker.say(f"{{{at}.failure_rate|percent}}\n{{{at}.failures|count}} of {{{at}.events|count}}")


def _systems(numbers: DailyNumbers, place: int) -> Iterator[str]:
    for row, _ in enumerate(numbers.components[place].systems[:LOOKED_AT]):
        at = f"components.{place}.systems.{row}"
        counts = f"{{{at}.counts.failures|count}} of {{{at}.counts.events|count}}"
        yield f"{{{at}.os_release|text}} {{{at}.architecture|text}} {counts}"


def _commits(at: str, numbers: DailyNumbers, place: int) -> Iterator[str]:
    for row, _ in enumerate(numbers.components[place].commits[:LOOKED_AT]):
        yield f"{{{at}.commits.{row}.commit_sha|text}} ({{{at}.commits.{row}.first_seen|instant}})"


def _image(numbers: DailyNumbers) -> Image | None:
    rows = [one.row for one in numbers.components if not one.row.counts.small][:DRAWN]
    if len(rows) < 2:
        return None
    alt = (
        "Bars of the failure rate of each component in the window and in the 28 days before; the table has the numbers."
    )
    return Image("rates.png", alt, png(charts.rates_chart(rows, MAIL), MAIL))
