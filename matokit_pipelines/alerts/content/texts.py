"""Plain text of at most 78 columns: paragraphs, lists and tables as lines. Addresses are never broken.

Not here: what is written.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matokit_pipelines.alerts.content.story_shapes import Fact, Table

WIDTH = 78
_GAP = 2


def wrapped(text: str, first: str = "", rest: str | None = None) -> str:
    """A paragraph; `first` stands before its first line, `rest` (as many blanks by default) before the others."""
    later = " " * len(first) if rest is None else rest
    kept = text.replace(" %", "\N{NO-BREAK SPACE}%")
    filled = textwrap.fill(
        kept, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words="://" not in text,
        break_on_hyphens=False,
    )  # fmt: skip
    return filled.replace("\N{NO-BREAK SPACE}%", " %")


def facts_text(facts: Sequence[Fact]) -> str:
    """Labels to the left, what stands beside them in a column of its own."""
    widest = max((len(fact.label) for fact in facts), default=0) + _GAP
    return "\n".join(wrapped(fact.text, fact.label.ljust(widest)) for fact in facts)


def table_text(table: Table) -> str:
    """Columns where they fit; else each name on a line of its own with its cells below."""
    rows = [table.head, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.head))]
    lines = []
    if sum(widths) + _GAP * (len(widths) - 1) <= WIDTH:
        for row in rows:
            first = row[0].ljust(widths[0])
            others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append((" " * _GAP).join([first, *others]).rstrip())
    else:
        for row in table.rows:
            lines.append(wrapped(row[0]))
            lines += [wrapped(f"{label}: {cell}", "  ") for label, cell in zip(table.head[1:], row[1:], strict=True)]
    return "\n".join(lines + ([table.more] if table.more else []))
