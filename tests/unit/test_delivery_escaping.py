"""Hostile text is harmless in Slack, headers, cells and terminals, and still text that a person can read."""

from __future__ import annotations

import re
import unicodedata
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.delivery.escaping import csv_cell, cut, header, one_line, plain, slack_text, uncalled

HOSTILE = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["<!channel>", "</script>", "=1+1", "\r\n", "\u202e", "\x1b[31m", "&", "@all ", "=?utf-8?q?=0D=0ABcc:_x?="]
        )
    ).map("".join),
)


def steers(text: str) -> bool:
    return any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co") for letter in text)


@given(HOSTILE)
def test_slack_text_calls_nobody_and_reads_back_as_it_was(text: str) -> None:
    told = slack_text(text)
    assert not re.search(r"[<>]", told)
    assert re.sub(r"&(amp|lt|gt);", "", told).count("&") == 0
    assert told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == plain(text)


@given(HOSTILE)
def test_a_header_stays_one_header(text: str) -> None:
    told = header(text)
    assert told.splitlines() in ([], [told])
    assert not steers(re.sub("[\u200c\u200d\u2060]", "", told))
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = told
    mail.set_content("x")
    mail = message_from_bytes(mail.as_bytes(), policy=SMTP)
    assert [name for name, _ in mail.items()].count("Subject") == 1
    assert set(mail.keys()) == {"Subject", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"}


@given(HOSTILE)
def test_plain_keeps_letters_and_lines(text: str) -> None:
    told = plain(text)
    assert not steers(told.replace("\n", "").replace("\u200d", "").replace("\u200c", ""))
    assert plain(told) == told


def test_names_in_other_scripts_and_joined_emoji_stay() -> None:
    for name in ("Überprüfung", "تثبيت", "インストール", "👩‍💻", "a*b_c~d"):
        assert one_line(name) == name


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "  =1", "\uff1d1"])
def test_a_cell_that_looks_like_a_formula_is_quoted(cell: str) -> None:
    assert csv_cell(cell) == "'" + cell
    assert csv_cell("plain " + cell) == "plain " + cell


@given(HOSTILE, st.integers(1, 100))
def test_a_text_is_cut_to_what_is_asked(text: str, most: int) -> None:
    assert len(cut(text, most)) <= most
    assert cut(text, most) == text if len(text) <= most else cut(text, most).endswith("…")
    assert len(cut("x" * 10_000)) == 80
    assert cut("") == ""


def test_text_for_unknown_services_calls_nobody() -> None:
    told = uncalled("<!channel> @everyone <@U1> a@b.example 1 < 2")
    for call in ("<!", "@everyone", "<@", "@b"):
        assert call not in told
    assert told.replace("\N{WORD JOINER}", "") == "<!channel> @everyone <@U1> a@b.example 1 < 2"
