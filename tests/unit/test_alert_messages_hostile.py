"""Names that anybody may send stay text in every form of a message: mail, plain text, Slack's blocks, the subject."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.alerts.announcements import Announcement, Episode, Kind
from matokit_pipelines.alerts.content.blocks import ALL_TEXT, BLOCKS, FIELD, FIELDS, HEADER, SECTION, length
from matokit_pipelines.alerts.content.composing import compose
from matokit_pipelines.alerts.content.evidence import (
    Began,
    Ci,
    Commit,
    Counts,
    Evidence,
    Facts,
    Part,
    Parts,
    Slot,
    Source,
)
from matokit_pipelines.alerts.content.scopes import scopes_of
from matokit_pipelines.delivery.mails import inlined
from matokit_pipelines.delivery.messages import Message
from tests.alert_scenes import COMPLETE, HOSTILE, NOW, RULES, episode, links, over

KINDS: tuple[Kind, ...] = get_args(Kind)
BY_NAME = ("new_failure_pattern", "component_failure_rate", "slow_regression", "arch_gap", "commit_regression")
# what our own texts and the settings may lead to
ADDRESSES = re.compile(r"^https://(wiki|matokit|git)\.example\.org(/[\w./#-]*)?$")
TAGS = {"html", "head", "meta", "title", "style", "body", "main", "div", "p", "h1", "h2", "h3", "ul", "li", "dl", "dt",
        "dd", "span", "br", "a", "table", "thead", "tbody", "tr", "th", "td", "img"}  # fmt: skip
names = st.sampled_from(HOSTILE) | st.text(max_size=200) | st.text("<>&|`*_~@!#=\"'{}%\r\n\u202e\u2066 a", max_size=90)


def evidence(announcement: Announcement, name: str) -> Evidence:
    """Everything that an event may name bears `name`."""
    counts = Counts(10, 9)
    parts = Parts((Part(name, name, counts, counts), Part(name + "2", "", counts, Counts(0, 0))), 30)
    commit = Commit(name, COMPLETE, name, counts)
    facts = {}
    for scope in scopes_of(announcement, links().alerts, links().zone):
        facts[scope.key] = Facts(
            scope, Part("", "", counts, counts), 9, 10, parts, parts, parts, parts, parts, (commit, commit),
            Began(COMPLETE, name, name, name, name), (Ci(name, counts, counts),), (Slot(scope.chart.start, 0, 0),),
        )  # fmt: skip
    return Evidence(facts, (Source(name, None, name, 3),), (), (name,))


def messages(name: str, kinds: tuple[Kind, ...] = KINDS, rules: tuple[str, ...] = BY_NAME) -> list[Message]:
    found = []
    for kind in kinds:
        for rule in rules:
            made = over if kind in ("resolved", "past") else episode
            episodes: tuple[Episode, ...] = tuple(made(rule, subject=name + end) for end in ("", "-b"))
            episodes = episodes[:1] if kind in ("reminder", "resolved") else episodes
            digest = "health" if rule == "component_failure_rate" else "warnings"
            told = Announcement(kind, episodes, NOW, COMPLETE, digest=digest if kind == "digest" else None,
                                caveats=(f"source {name[:60]} is missing",))  # fmt: skip
            found.append(compose(told, evidence(told, name), links()))
    return found


class Page(HTMLParser):
    """What a mail reader sees of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.addresses: set[str] = set()
        self.sources: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for key, value in attrs:
            self.attributes.add(key)
            if key == "href":
                self.addresses.add(value or "")
            if key == "src":
                self.sources.add(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check_html(message: Message) -> None:
    for html in (message.html or "", inlined(message.html or "")):
        page = Page(html)
        assert page.tags <= TAGS, page.tags - TAGS
        assert not {one for one in page.attributes if one.startswith("on")}
        assert page.sources <= {"cid:timeline.png"}
        assert all(ADDRESSES.match(address) for address in page.addresses), page.addresses


def check_text(message: Message) -> None:
    assert "\n" not in message.subject
    assert "\r" not in message.subject + message.text
    assert len(message.subject) <= 180
    steering = {letter for letter in message.subject + message.text if unicodedata.category(letter) in ("Cc", "Cf")}
    assert steering <= {"\n", "\u200d", "\u200c"}
    assert [line for line in message.text.splitlines() if len(line) > 78 and "://" not in line] == []


def texts_of(block: Any) -> list[dict[str, Any]]:
    return [one for one in (block.get("text"), *block.get("fields", ()), *block.get("elements", ())) if one]


def check_blocks(message: Message) -> None:
    blocks = list(message.blocks or ())
    assert 0 < len(blocks) <= BLOCKS
    assert sum(map(length, blocks)) <= ALL_TEXT + 200
    for block in blocks:
        assert len(block.get("fields", ())) <= FIELDS
        assert len(block.get("elements", ())) <= 10
        if block["type"] == "section":
            assert block.get("text") or block.get("fields")
        for text in texts_of(block):
            most = HEADER if block["type"] == "header" else FIELD if text in block.get("fields", ()) else SECTION
            assert 0 < len(text["text"]) <= most
            assert text["type"] in ("plain_text", "mrkdwn")
            if text["type"] == "plain_text":
                assert text["emoji"] is False
                assert "<" not in text["text"]
                assert ">" not in text["text"]
                assert not re.search(r"&(?!amp;|lt;|gt;)", text["text"])
            else:
                check_markdown(text["text"])


def check_markdown(text: str) -> None:
    """Only our own titles in bold, and links of the settings under labels that hold no name."""
    rest = re.sub(r"<(https://[^|>]+)\|([^<>|]+)>", lambda found: "" if ADDRESSES.match(found[1]) else found[0], text)
    assert "<" not in rest
    assert re.fullmatch(r"[A-Za-z ,·*():#/.0-9]*", rest), rest


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:12]))
def test_known_attacks_stay_text(name: str) -> None:
    for message in messages(name):
        check_html(message)
        check_text(message)
        check_blocks(message)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=names, kind=st.sampled_from(KINDS), rule=st.sampled_from(BY_NAME))
def test_any_name_stays_text(name: str, kind: Kind, rule: str) -> None:
    for message in messages(name, (kind,), (rule,)):
        check_html(message)
        check_text(message)
        check_blocks(message)


def test_a_name_is_shown_as_it_was_sent() -> None:
    [message] = messages("</script><!channel>=1+1", ("firing",), ("new_failure_pattern",))
    assert "</script><!channel>=1+1" in "".join(Page(message.html or "").texts)
    assert "</script><!channel>=1+1" in message.text
    assert "</script><!channel>=1+1" in message.subject
    assert "&lt;/script&gt;&lt;!channel&gt;=1+1" in str(message.blocks)
    assert "<!channel>" not in str(message.blocks)


def test_a_long_name_is_cut_at_80() -> None:
    for message in messages("x" * 10_000):
        for form in (message.subject, message.text, message.html or "", str(message.blocks)):
            assert "x" * 81 not in form.replace("\n", "")
        assert "x" * 79 + "…" in "".join(Page(message.html or "").texts)


def test_a_commit_that_is_none_leads_nowhere() -> None:
    [message] = messages("../../evil", ("firing",), ("commit_regression",))
    assert not re.search(r"git\.example\.org/\S*evil", message.text + (message.html or "") + str(message.blocks))


def test_addresses_of_the_settings_cannot_end_a_link_early() -> None:
    bent = links(runbook_url="https://wiki.example.org/a|b>c&d")
    for rule in RULES:
        told = Announcement("firing", (episode(rule),), NOW, COMPLETE)
        message = compose(told, Evidence(), bent)
        [text] = [
            one["text"] for block in message.blocks or () for one in texts_of(block) if "|Runbook>" in one["text"]
        ]
        assert text.count("<") == text.count(">") == text.count("|")
