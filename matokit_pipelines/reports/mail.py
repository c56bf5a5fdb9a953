"""A report as a message: the short form for mail and Slack, with the pictures of its charts.

What a report hands in is plain text; here it is made harmless, cut to what mail programs and Slack take, and put into
the one look of all report mails. Gmail cuts a mail whose HTML is over 102 kB. Not here: what a report says (weekly/,
daily/, monthly/), headers and parts of a mail (delivery/mails.py), sending.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matokit_pipelines.delivery.escaping import LONGEST_NAME, cut, one_line, plain, slack_text
from matokit_pipelines.delivery.mails import inlined
from matokit_pipelines.delivery.messages import Block, Image, Message
from matokit_pipelines.delivery.slack_payload import cut_escaped
from matokit_pipelines.reports.formats import NOTHING
from matokit_pipelines.reports.rendering import templates

MOST_BYTES = 95_000  # of HTML as it is sent, styles inside the elements
MOST_ROWS, MOST_LINES, MOST_PARTS, MOST_FIGURES = 12, 8, 8, 3
_ROWS_TRIED = (MOST_ROWS, 6, 3, 1)
SUBJECT, SENTENCE, CELL, LABEL = 180, 400, 120, 60
_HEADER, _FIELD, _SECTION = 150, 600, 2_000
_BLANKS = re.compile(r"[ \n]+")  # not the blanks that hold a number and its unit together


@dataclass(frozen=True)
class Figure:
    """One of the (at most three) numbers of a report: `Success rate`, `83.1 %`, `95.0 % the week before`."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a mail: the first column are names, the others figures; five columns at most can be read on a phone.

    A cell may hold a second line, after a line break, which is shown small. `more`: rows left out before. `extra`: the
    place of a column that narrow screens leave out.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int = 0
    extra: int | None = None


@dataclass(frozen=True)
class Part:
    """A section of a mail below the figures. `title` states the finding; each of the others is left out when empty."""

    title: str
    note: str = ""
    image: Image | None = None
    table: Table | None = None
    lines: Sequence[str] = ()
    more: str = ""


def report_message(
    *,
    subject: str,
    over: str,
    headline: str,
    text: str,
    figures: Sequence[Figure],
    incomplete: Sequence[str] = (),
    changes: Sequence[str] = (),
    parts: Sequence[Part] = (),
    page_url: str = "",
    page_label: str = "Open the whole report",
    footer: Sequence[str] = (),
) -> Message:
    """The message of a report. The same input gives the same message.

    `subject` carries the finding, `over` names report and period, `text` is complete alone. `incomplete`: why the data
    are, in sentences; the subject then says so too. `changes`: what changed, the most important first. `page_url` is
    "" where no page can be reached. Everything may hold names from outside, none of it markup.
    """
    marked = f"{one_line(subject[: 4 * SUBJECT])}{' (incomplete data)' if incomplete else ''}"
    message: dict[str, Any] = {
        "subject": cut(marked, SUBJECT),
        "over": _line(over),
        "headline": _line(headline),
        "incomplete": _lines(incomplete),
        "changes": _lines(changes),
        "figures": [_figure(figure) for figure in figures[:MOST_FIGURES]],
        "page_url": page_url,
        "page_label": _line(page_label, LABEL),
        "footer": [_line(one) for one in footer],
    }
    shown = parts[:MOST_PARTS]
    html, kept = _html(message, shown)
    return Message(
        subject=cut(marked, SUBJECT),
        text=text,
        html=html,
        blocks=list(_blocks(message)),
        images=tuple(part.image for part in shown[:kept] if part.image),
    )


def brief(document: Any) -> Any:
    """A report's document with every text in it on one line and no longer than a name may be: for a Marker whose
    sentences go into a message."""
    if isinstance(document, Mapping):
        return {name: brief(value) for name, value in document.items()}
    if isinstance(document, list):
        return [brief(value) for value in document]
    return cut(one_line(document), LONGEST_NAME) if isinstance(document, str) else document


# -- mail -------------------------------------------------------------------------------------------------------------


def _html(message: Mapping[str, Any], parts: Sequence[Part]) -> tuple[str, int]:
    """The whole mail as HTML, and how many parts it has: tables lose rows, then it loses parts, until it is small."""
    template = templates().get_template("mail/report.html")
    tries = [(len(parts), rows) for rows in _ROWS_TRIED] + [(kept, 1) for kept in reversed(range(len(parts)))]
    for kept, rows in tries:
        html = template.render(m={**message, "parts": [_part(part, rows) for part in parts[:kept]]})
        if len(inlined(html).encode("utf-8", "replace")) <= MOST_BYTES:
            break
    return html, kept


def _part(part: Part, rows: int) -> dict[str, Any]:
    """What the template shows of a part, with at most `rows` rows; what is left out is counted."""
    table = part.table
    left = 0 if table is None else table.more + max(0, len(table.rows) - rows)
    return {
        "title": _line(part.title),
        "note": _line(part.note),
        "image": part.image and {"name": part.image.name, "alt": _line(part.image.alt)},
        "table": table
        and {
            "head": [_line(cell, LABEL) for cell in table.head],
            "rows": [[_cell(cell) for cell in row] for row in table.rows[:rows]],
            "extra": table.extra,
        },
        "lines": _lines(part.lines),
        "more": " ".join(filter(None, (f"and {left:,} more on the page." if left else "", _line(part.more)))),
    }


def _cell(text: str) -> dict[str, str]:
    main, _, small = text.partition("\n")
    return {"main": _line(main, CELL), "small": _line(small, CELL)}


def _figure(figure: Figure) -> dict[str, str]:
    return {"label": _line(figure.label, LABEL), "value": _line(figure.value, LABEL), "note": _line(figure.note, CELL)}


def _lines(texts: Sequence[str]) -> list[str]:
    """Sentences; of a long list its beginning and how many more there are."""
    shown = [_line(text) for text in texts[:MOST_LINES]]
    return [*shown, f"and {len(texts) - MOST_LINES:,} more on the page."] if len(texts) > MOST_LINES else shown


def _line(text: str, most: int = SENTENCE) -> str:
    """One line without anything that steers, of at most `most` characters."""
    return cut(_BLANKS.sub(" ", plain(text[: 4 * most])).strip(" "), most)


# -- Slack ------------------------------------------------------------------------------------------------------------


def _blocks(message: Mapping[str, Any]) -> Iterator[Block]:
    """Headline, what is incomplete, three numbers, link: the charts follow in the thread, the rest is on the page.

    All but the link is `plain_text`, where Slack reads no markup. https://docs.slack.dev/reference/block-kit/blocks
    """
    headline = message["headline"]
    yield {"type": "header", "text": _plain(headline, _HEADER)}
    if len(slack_text(headline)) > _HEADER:
        yield {"type": "section", "text": _plain(headline)}
    yield {"type": "context", "elements": [_plain(message["over"])]}
    if message["incomplete"]:
        said = " ".join(["\N{WARNING SIGN} Incomplete:", *message["incomplete"]])
        yield {"type": "section", "text": _plain(said)}
    if message["figures"]:
        fields = ["\n".join(filter(None, figure.values())) for figure in message["figures"]]
        yield {"type": "section", "fields": [_plain(field, _FIELD) for field in fields]}
    if message["page_url"]:
        address = message["page_url"].replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace("&", "&amp;")
        link = f"<{address}|{slack_text(message['page_label'])}>"
        yield {"type": "section", "text": {"type": "mrkdwn", "text": link}}


def _plain(text: str, most: int = _SECTION) -> dict[str, Any]:
    """Escaped text; Slack takes no empty one."""
    return {"type": "plain_text", "text": cut_escaped(slack_text(text), most) or NOTHING, "emoji": False}
