"""The mail and Slack form of reports: always small enough, names from outside are text, nothing is fetched."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.delivery.mails import inlined
from matokit_pipelines.delivery.messages import Image, Message
from matokit_pipelines.delivery.slack_payload import fits, payload
from matokit_pipelines.reports.mail import MOST_ROWS, Figure, Part, Table, brief, report_message
from tests.delivering import PNG

GMAIL_CUTS_AT = 102 * 1024
HOSTILE = "</script><!channel>=1+1<@U1> https://example.org \u202e\x00\r\nBcc: x@example.org"
FIGURES = (Figure("Installations (estimate)", "1\u202f204", "+3\u00a0%"), Figure("Success rate", "83.1\u00a0%"))


def made(**other: Any) -> Message:
    """A message with every part; others as given."""
    said: dict[str, Any] = {
        "subject": "Installer week 46: success 83 % (95 % before)",
        "over": "Weekly operations summary · 2026-W46",
        "headline": "Success fell to 83.1 % from 95.0 %, more than chance.",
        "text": "All of it.",
        "figures": FIGURES,
        "changes": ("python_install got worse.",),
        "parts": (
            Part("The lowest day is Thu 12 Nov", image=Image("trend.png", "Daily success rate", PNG)),
            Part("Components", table=Table(("Component", "Failures"), [("python_install", "13\nof 25 events")])),
        ),
        "page_url": "https://reports.example.org/reports/weekly/2026-W46.html",
        "footer": ("Made Mon 16 Nov 2026 07:30.",),
    }
    return report_message(**(said | other))


class Seen(HTMLParser):
    """Tags with their attributes, and the text outside of styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def html_of(message: Message) -> str:
    assert message.html is not None
    return message.html


def test_a_mail_says_headline_changes_figures_tables_and_where_the_page_is() -> None:
    seen = Seen(html_of(made()))
    for words in ("Success fell to", "python_install got worse.", "1\u202f204", "of 25 events", "The lowest day"):
        assert words in seen.text
    assert [found["href"] for tag, found in seen.tags if tag == "a"] == [
        "https://reports.example.org/reports/weekly/2026-W46.html"
    ]
    images = [found for tag, found in seen.tags if tag == "img"]
    assert [(one["src"], one["width"], one["alt"]) for one in images] == [
        ("cid:trend.png", "592", "Daily success rate")
    ]
    assert [image.name for image in made().images] == ["trend.png"]


def test_without_an_address_there_is_no_link() -> None:
    message = made(page_url="")
    assert "a" not in {tag for tag, _ in Seen(html_of(message)).tags}
    assert "mrkdwn" not in str(message.blocks)


def test_a_mail_asks_for_nothing_and_runs_nothing() -> None:
    html = inlined(html_of(made()))
    for tag, found in Seen(html).tags:
        assert tag not in ("script", "link", "iframe", "object", "svg")
        assert not (found.get("src") or "cid:").startswith(("http", "//", "data:"))
    assert not re.search(r"@import|url\(|@font-face", html)


def test_incomplete_data_are_said_in_the_subject_first_in_the_mail_and_in_slack() -> None:
    message = made(incomplete=("data to Thu 12 Nov 14:15.",))
    assert message.subject.endswith("(incomplete data)")
    shown = Seen(html_of(message)).text
    assert shown.index("data to Thu 12 Nov") < shown.index("Weekly operations")
    assert "Incomplete: data to Thu 12 Nov" in str(message.blocks)


@pytest.mark.parametrize("letter", ["x", "&", "'", "\N{SLICE OF PIZZA}", "\u202e"])
def test_no_data_make_a_mail_that_gmail_cuts(letter: str) -> None:
    long = letter * 20_000
    message = made(
        subject=long, headline=long, over=long, incomplete=[long] * 500, changes=[long] * 500,
        figures=[Figure(long, long, long)] * 9, footer=[long] * 3, page_label=long,
        parts=[Part(long, long, table=Table([long] * 8, [[f"{long}\n{long}"] * 8] * 10_000), lines=[long] * 500)] * 20,
    )  # fmt: skip
    assert len(inlined(html_of(message)).encode()) < GMAIL_CUTS_AT
    assert len(message.subject) < 200
    assert message.blocks is not None
    assert fits(message.blocks)


def test_a_long_table_says_how_many_rows_are_on_the_page_only() -> None:
    rows = [(f"component_{n:05d}", "1") for n in range(10_000)]
    message = made(parts=[Part("Components", table=Table(("Component", "Failures"), rows, more=5))])
    shown = Seen(html_of(message)).text
    assert shown.count("component_0") == MOST_ROWS
    assert f"and {10_005 - MOST_ROWS:,} more on the page." in shown


def test_names_from_outside_are_text() -> None:
    message = made(
        subject=f"Week: {HOSTILE}", headline=HOSTILE, changes=[HOSTILE], figures=[Figure(HOSTILE, HOSTILE, HOSTILE)],
        parts=[Part(HOSTILE, table=Table([HOSTILE], [[HOSTILE]]), image=Image("a.png", HOSTILE, PNG))],
    )  # fmt: skip
    assert "<!channel>" not in html_of(message)
    assert "\u202e" not in html_of(message)
    assert "script" not in {tag for tag, _ in Seen(inlined(html_of(message))).tags}
    assert "\n" not in message.subject
    shown = payload(message, is_plain=False)
    assert "<!channel>" not in str(shown)
    assert "<@U1>" not in str(shown)


def test_the_message_for_slack_is_short_and_complete() -> None:
    message = made()
    assert message.blocks is not None
    assert fits(message.blocks)
    assert [block["type"] for block in message.blocks] == ["header", "context", "section", "section"]
    assert [field["text"].splitlines()[0] for field in message.blocks[2]["fields"]] == [
        "Installations (estimate)", "Success rate",
    ]  # fmt: skip
    assert "python_install got worse" not in str(message.blocks)


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_makes_a_message_that_slack_and_mail_take(words: str, name: str) -> None:
    message = made(headline=words, figures=[Figure(name, words, name)], parts=[Part(words, lines=[name])])
    assert message.blocks is not None
    assert fits(message.blocks)
    assert Message.from_json(message.to_json()).html == message.html
    assert {"script", "iframe"}.isdisjoint(tag for tag, _ in Seen(inlined(html_of(message))).tags)


def test_a_brief_document_holds_short_names_and_the_same_numbers() -> None:
    found = brief({"rows": [{"name": "x" * 500 + "\n", "n": 3, "rate": None}], "at": "2026-11-09T00:00:00Z"})
    assert found["rows"][0] == {"name": "x" * 79 + "…", "n": 3, "rate": None}
    assert found["at"] == "2026-11-09T00:00:00Z"
