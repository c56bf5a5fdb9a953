"""Mail, over real SMTP: threads, pictures inside, encryption, refusals of some or all, and what is sent again."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from matokit_pipelines import state
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.mails import inlined, list_id, message_id
from matokit_pipelines.simulator.mail import MailServer
from tests.delivering import BY_MAIL, PNG, Office, message

A, B = "a@example.org", "b@example.org"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    with MailServer(now=made.clock.now) as made.mail:
        yield made


def mail_of(office: Office) -> MailServer:
    assert office.mail is not None
    return office.mail


def parts(mail: EmailMessage) -> dict[str, EmailMessage]:
    return {part.get_content_type(): part for part in mail.walk() if isinstance(part, EmailMessage)}


def test_a_mail_has_text_page_and_pictures_and_answers_the_first(office: Office) -> None:
    first = office.put("firing", BY_MAIL, told=message("Überall: r fails", text="13 of 25 events failed.\n"))
    second = office.put("resolved", BY_MAIL, told=message("r is well", images=()))
    assert office.drain().sent == 2
    firing, resolved = (kept.mail for kept in mail_of(office).kept)
    assert [kept.recipients for kept in mail_of(office).kept] == [(A, B), (A, B)]
    assert firing.get_content_type() == "multipart/alternative"
    text, related = firing.iter_parts()
    assert (text.get_content_type(), related.get_content_type()) == ("text/plain", "multipart/related")
    assert text.get_content() == "13 of 25 events failed.\r\n"
    page, picture = related.iter_parts()
    assert '<p style="color: #333;">' in page.get_content()
    assert (picture["Content-ID"], picture.get_content_type(), picture.get_content()) == (
        "<chart.png>", "image/png", PNG,
    )  # fmt: skip
    assert (str(firing["Subject"]), str(firing["To"])) == ("Überall: r fails", f"{A}, {B}")
    assert firing["Auto-Submitted"] == "auto-generated"
    assert firing["List-Id"].startswith("matokit alerts <alerts.matokit.")
    assert (firing["Message-ID"], firing["In-Reply-To"]) == (message_id(first, "matokit@example.org"), None)
    assert resolved["Message-ID"] == message_id(second, "matokit@example.org")
    assert resolved["In-Reply-To"] == resolved["References"] == firing["Message-ID"]


def test_a_mail_is_dated_when_it_leaves(office: Office) -> None:
    """A digest that waited over a weekend belongs to its morning; sent again it keeps its date."""
    due = office.clock.now() + timedelta(days=3)
    office.put("digest", BY_MAIL, severity="warning", due=due)
    assert office.drain().sent == 0
    office.clock.advance(timedelta(days=3))
    mail_of(office).faults.drop_after = 1
    office.drain_until_empty()
    assert [kept.mail["Date"].datetime for kept in mail_of(office).kept] == [due, due]


def test_dark_colours_survive_the_inlining() -> None:
    page = "<style>p{color:#111}@media (prefers-color-scheme:dark){p{color:#eee}}</style><p>x</p>"
    assert "prefers-color-scheme" in inlined(page)
    assert 'style="color: #111;"' in inlined(page)


@pytest.mark.parametrize("told", ["550 5.1.1 No such user", "421 4.3.2 Busy"])
def test_one_refused_recipient_is_an_error_for_that_one_only(office: Office, told: str) -> None:
    server = mail_of(office)
    server.faults.refuse = {B: told}
    key = office.put("firing", BY_MAIL)
    office.drain()
    row = office.row(key)
    assert [kept.recipients for kept in server.kept] == ([(A,)] if told.startswith("5") else [])
    assert B in (row.error or "")
    if told.startswith("5"):
        assert (row.state, json.loads(row.provider_ref or "")["got"]) == ("sent", [A])
        assert "No such user" in (row.error or "")
        return
    server.faults.refuse = {}
    office.drain_until_empty()
    assert [kept.recipients for kept in server.kept] == [(A, B)]


def test_who_got_it_does_not_get_it_again(office: Office) -> None:
    """The second is put off; later it alone is asked for, and the mail is the same."""
    server = mail_of(office)
    server.faults.refuse = {B: "450 4.2.1 Mailbox busy"}
    office.put("firing", BY_MAIL)
    later = office.put("resolved", BY_MAIL)
    office.drain()
    assert [kept.recipients for kept in server.kept] == [(A,)]
    office.drain()
    assert office.row(later).state == "pending", "what follows waits for all of the group"
    server.faults.refuse = {}
    office.drain_until_empty()
    assert [kept.recipients for kept in server.kept] == [(A,), (B,), (A, B)]
    first, second, _ = (kept.mail for kept in server.kept)
    assert first["Message-ID"] == second["Message-ID"]
    assert str(first["To"]) == str(second["To"]) == f"{A}, {B}"


def test_greylisting_is_waited_for(office: Office) -> None:
    server = mail_of(office)
    server.faults.greylist_seconds = 240
    office.put("firing", BY_MAIL)
    office.drain()
    assert server.kept == []
    office.drain_until_empty(timedelta(minutes=2))
    assert [kept.recipients for kept in server.kept] == [(A, B)]
    assert server.answers["451"] >= 2


def test_a_page_that_is_refused_is_told_in_plain_text(office: Office) -> None:
    server = mail_of(office)
    server.faults.refuse_html = "554 5.6.0 No pages here"
    office.put("firing", BY_MAIL)
    assert office.drain().sent == 1
    [kept] = server.kept
    assert (kept.mail.get_content_type(), kept.mail.get_content()) == ("text/plain", "13 of 25 events failed.\r\n")


def test_what_is_refused_for_good_is_dead_and_blocks_nothing(office: Office) -> None:
    server = mail_of(office)
    server.faults.refuse_data = "554 5.7.1 Not like this"
    dead = office.put("firing", BY_MAIL)
    follows = office.put("resolved", BY_MAIL)
    assert office.drain(limit=2).dead == 1
    assert "Not like this" in (office.row(dead).error or "")
    server.faults.refuse_data = ""
    office.drain()
    assert (office.row(follows).state, server.kept[0].mail["In-Reply-To"]) == ("sent", None)
    [told] = [row for row in office.rows() if row.conversation.startswith("operators|")]
    assert (told.state, told.destination) == ("sent", "files")


def test_no_recipient_at_all_is_dead_at_once(office: Office) -> None:
    mail_of(office).faults.refuse = {A: "550 5.1.1 No such user", B: "550 5.1.1 No such user"}
    office.put("firing", BY_MAIL)
    assert office.drain().dead == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_connection_brings_the_same_mail_again(office: Office, when: str) -> None:
    server = mail_of(office)
    setattr(server.faults, f"drop_{when}", 1)
    put = [office.put(kind, BY_MAIL) for kind in ("firing", "resolved")]
    office.drain_until_empty()
    ids = [str(kept.mail["Message-ID"]) for kept in server.kept]
    assert list(dict.fromkeys(ids)) == [message_id(key, "matokit@example.org") for key in put]
    assert len(ids) == (3 if when == "after" else 2)


def test_a_slow_server_is_a_matter_of_time(office: Office) -> None:
    server = mail_of(office)
    server.faults.slow_seconds = 1.5
    office.settings = {"smtp": {"timeout": 1}}
    key = office.put("firing", BY_MAIL)
    office.drain()
    assert "in time" in (office.row(key).error or "")
    server.faults.slow_seconds = 0
    office.drain_until_empty()
    assert {str(kept.mail["Message-ID"]) for kept in server.kept} == {message_id(key, "matokit@example.org")}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encryption_with_an_own_authority_and_a_log_in(tmp_path: Path, security: str) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    office = Office(tmp_path / "home")
    with MailServer(security=security, context=context, login=("bot", "secret"), now=office.clock.now) as office.mail:  # type: ignore[arg-type]
        office.put("firing", BY_MAIL)
        encrypted: dict[str, object] = {"security": security}
        office.settings = {"smtp": encrypted}
        assert "smtp.ca_file" in office.drain().sentences[0]
        office.settings = {"smtp": encrypted | {"ca_file": str(ca_file), "username": "bot"}}
        office.environ["MATOKIT_SMTP_PASSWORD"] = "wrong-one"
        office.clock.advance(timedelta(minutes=6))
        [sentence] = office.drain().sentences
        assert "MATOKIT_SMTP_PASSWORD" in sentence
        assert "wrong-one" not in sentence
        office.environ["MATOKIT_SMTP_PASSWORD"] = "secret"
        office.drain_until_empty()
        assert len(office.mail.kept) == 1


def test_a_server_that_cannot_encrypt_gets_nothing(office: Office) -> None:
    office.settings = {"smtp": {"security": "starttls"}}
    office.put("firing", BY_MAIL)
    assert "smtp.security" in office.drain().sentences[0]
    office.settings = {"smtp": {"security": "tls"}}
    office.clock.advance(timedelta(minutes=6))
    assert "smtp.security" in office.drain().sentences[0]
    assert mail_of(office).kept == []


@pytest.mark.parametrize(
    "name", ["a\r\nBcc: x@y.z", "x" * 10_000, "\u202egnp.exe", "=?utf-8?q?=0D=0ABcc:_x?=", "\ud800", "\x00", ""]
)
def test_hostile_names_stay_in_their_header(office: Office, name: str) -> None:
    told = message(name, text=f"{name}\nfailed", images=())
    with state.opened(office.home) as connection:
        outbox.enqueue(
            connection, message_key="r|1", conversation="r", destination=BY_MAIL, severity="critical",
            message=told, due=office.clock.now(), now=office.clock.now(),
        )  # fmt: skip
    assert office.drain().sent == 1
    [kept] = mail_of(office).kept
    assert kept.recipients == (A, B)
    assert {header.lower() for header in kept.mail.keys()} == {  # noqa: SIM118
        "from", "to", "subject", "date", "message-id", "list-id", "auto-submitted", "x-auto-response-suppress",
        "mime-version", "content-type",
    }  # fmt: skip
    assert len(str(kept.mail["Subject"])) <= 201
    assert "\r" not in str(kept.mail["Subject"])
    assert "text/plain" in parts(kept.mail)


@pytest.mark.parametrize(
    ("conversation", "kind"),
    [
        ("report:weekly:2026-W46:email:dev@example.org", "weekly"),
        ("report:daily:2026-11-20:email:dev@example.org:2", "daily"),
        ("operators|stale-2026-11-20|email:dev@example.org", "operators"),
        ("no_events||1|email:dev@example.org", "alerts"),
    ],
)
def test_filters_can_tell_reports_alerts_and_what_is_for_operators_apart(conversation: str, kind: str) -> None:
    assert list_id(conversation, "matokit@example.org") == f"matokit {kind} <{kind}.matokit.example.org>"
