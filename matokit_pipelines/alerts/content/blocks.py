"""A story as Slack's Block Kit, within its limits. https://docs.slack.dev/reference/block-kit/blocks

Whatever may hold a name from outside is `plain_text`, where Slack reads no markup, and escaped besides; only our own
labels and links from the settings are `mrkdwn`. Not here: what is told (stories.py), sending.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from matokit_pipelines.alerts.content.story_shapes import Line, Part, Story, Table, To
from matokit_pipelines.delivery.escaping import cut, slack_text
from matokit_pipelines.delivery.messages import Block

HEADER, SECTION, FIELD, FIELDS, BLOCKS = 150, 3000, 2000, 10, 50
ALL_TEXT = 9_000  # the sum over all blocks has a ceiling near 13,000 that is not documented
_SIGNS = {
    "critical": "\N{LARGE RED CIRCLE}",
    "warning": "\N{LARGE ORANGE DIAMOND}",
    "over": "\N{WHITE HEAVY CHECK MARK}",
}
_ROWS = 6


def blocks_of(story: Story) -> list[Block]:
    """The blocks, most important first; what does not fit is left out from the end, the links excepted."""
    end = list(_end(story))
    room = ALL_TEXT - sum(map(length, end))
    shown: list[Block] = []
    for block in _body(story):
        if len(shown) + len(end) + 1 > BLOCKS or length(block) > room:
            shown.append(_context("More in the mail and on the dashboard."))
            break
        room -= length(block)
        shown.append(block)
    return shown + end


def length(block: Block) -> int:
    """Characters of all texts in a block."""
    texts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
    return sum(len(text["text"]) for text in texts if text)


def _body(story: Story) -> Iterator[Block]:
    sign = _SIGNS.get(story.tone, "")
    headline = f"{sign} {story.headline}".strip()
    if story.kind in ("firing", "digest", "past", "confirmed"):
        yield {"type": "header", "text": _plain(headline, HEADER)}
        if len(slack_text(headline)) > HEADER:
            yield _section(_plain(story.headline))
    else:  # a reply in a thread needs no banner
        yield _section(_plain(headline))
    yield _context(story.over)
    for notice in story.notices:
        yield _section(_plain(f"\N{WARNING SIGN} {notice}"))
    if story.lead:
        yield _section(_plain(" ".join(story.lead)))
    if story.look:
        yield _titled("Look first", story.look)
    if story.facts:
        yield {
            "type": "section",
            "fields": [_plain(f"{fact.label}\n{fact.text}", FIELD) for fact in story.facts[:FIELDS]],
        }
    if story.lines:
        yield from _lines(story.lines, story.more)
    for table in story.tables.values():
        yield _table(table)
    if story.changes:
        yield from _changes(story.changes)
    if story.ci:
        yield _titled("In CI", story.ci)
    for part in story.parts:
        yield from _part(part)
    if story.parts and story.more:
        yield _section(_plain(story.more))


def _end(story: Story) -> Iterator[Block]:
    if story.links:
        yield _section(_markdown(" · ".join(map(_link, story.links))))
    for text in story.footer[:1]:
        yield _context(text)


def _part(part: Part) -> Iterator[Block]:
    yield {"type": "divider"}
    yield _section(_plain(part.heading))
    yield from _lines(part.lines, part.more)
    for table in part.tables:
        yield _table(table)
    if part.notes:
        yield from _changes(part.notes, "")
    if part.runbook:
        yield {"type": "context", "elements": [_markdown(_link(part.runbook))]}


def _lines(lines: Sequence[Line], more: str) -> Iterator[Block]:
    texts = ["\n".join([f"• {line.text}", *(f"   {detail}" for detail in line.details)]) for line in lines]
    yield _section(_plain("\n".join([*texts, more] if more else texts)))


def _changes(lines: Sequence[Line], title: str = "What changed") -> Iterator[Block]:
    """Sentences, then the links that belong to them: what happened may hold names, a link comes from the settings."""
    texts = [f"{line.text}{'; ' + '; '.join(line.details) if line.details else ''}" for line in lines]
    yield _titled(title, texts) if title else _section(_plain("\n".join(f"• {text}" for text in texts)))
    links = [_link(To(line.link, line.url, True)) for line in lines if line.url]
    if links:
        yield {"type": "context", "elements": [_markdown(" · ".join(links))]}


def _table(table: Table) -> Block:
    """Cards of a name and its figures, two beside each other on a wide screen."""
    fields = []
    for row in table.rows[:_ROWS]:
        cells = list(zip(table.head[1:], row[1:], strict=True))
        label, figure = cells[0]
        figures = [figure if len(cells) > 1 else f"{figure} {label.removesuffix('s') if figure == '1' else label}"]
        figures += [f"{label} {cell}" for label, cell in cells[1:]]
        fields.append(_plain("\n".join([row[0], ", ".join(figures)]), FIELD))
    left = len(table.rows) - _ROWS
    more = table.more or (f"and {left} more" if left > 0 else "")
    title = f"*{table.title}*" + (f" ({more})" if more else "")
    return {"type": "section", "text": _markdown(title), "fields": fields}


def _titled(title: str, texts: Iterable[str]) -> Block:
    """A title of ours above sentences that may hold names; a field would be half as wide as the message."""
    return _section(_plain("\n".join([f"{title}:", *(f"• {text}" for text in texts)])))


def _section(text: dict[str, Any]) -> Block:
    return {"type": "section", "text": text}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text, FIELD)]}


def _plain(text: str, most: int = SECTION) -> dict[str, Any]:
    return {"type": "plain_text", "text": _fitting(text, most), "emoji": False}


def _fitting(text: str, most: int) -> str:
    """Escaped, of at most `most` characters, never cut within an escape."""
    room, shown = most, slack_text(cut(text, most))
    while len(shown) > most:
        room -= max(1, (len(shown) - most) // 5)
        shown = slack_text(cut(text, room))
    return shown


def _markdown(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": cut(text, SECTION)}


def _link(to: To) -> str:
    """A link from the settings; `|` and brackets would end it early."""
    if not to.is_web:
        return slack_text(f"{to.label}: {to.address}")
    address = to.address.replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace("&", "&amp;")
    return f"<{address}|{slack_text(to.label)}>"
