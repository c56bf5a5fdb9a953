"""outbox, send-test and doctor's checks of delivery, against a Slack and a mail server on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.cli import main
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.settings import load
from matokit_pipelines.simulator.mail import MailServer
from matokit_pipelines.simulator.slack import SlackSimulator
from matokit_pipelines.warehouse.refresh import Home

SLACK, MAIL = "slack:#alerts", "email:a@example.org,b@example.org"


@pytest.fixture
def slack() -> Iterator[SlackSimulator]:
    with SlackSimulator() as running:
        yield running


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slack: SlackSimulator, mail: MailServer) -> Path:
    """A home with a destination of each kind, as current folder."""
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MATOKIT_SLACK_TOKEN", slack.token)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "matokit.toml").write_text(
        f'[recipients]\non_call = ["{SLACK}", "{MAIL}"]\noperators = ["console"]\n'
        f'[slack]\napi_url = "{slack.api_url}"\ntimeout = 5\n'
        f'[smtp]\nhost = "{mail.host}"\nport = {mail.port}\nsecurity = "none"\ntimeout = 5\n',
        encoding="utf-8",
    )
    return tmp_path


def matokit(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """`(exit code, stdout, stderr)` of one command."""
    code = main.run(list(words))
    out, err = capfd.readouterr()
    return code, out, err


def put(folder: Path, destination: str, subject: str = "component r fails") -> str:
    """One message into the outbox of the home; its key."""
    now = datetime.now(UTC)
    key = f"arch_gap|arm64|production|1|firing|{destination}|{now.timestamp()}"
    with state.opened(folder / ".matokit") as connection, state.transaction(connection):
        outbox.enqueue(
            connection, message_key=key, conversation=key, destination=destination, severity="warning",
            message=Message(subject, "13 of 25 events failed."), due=now, now=now,
        )  # fmt: skip
    return key


def test_send_test_reaches_every_destination(
    folder: Path, slack: SlackSimulator, mail: MailServer, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = matokit(capfd, "send-test", "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert [(row["destination"], row["state"]) for row in rows] == [
        ("console", "sent"), (MAIL, "sent"), (SLACK, "sent"),
    ]  # fmt: skip
    assert "Nothing is wrong." in err  # the console's message stays out of the JSON
    assert "Nothing is wrong." in json.dumps(slack.messages[0].body["blocks"])
    [taken] = mail.kept
    assert taken.recipients == ("a@example.org", "b@example.org")
    assert taken.mail["Subject"] == "Test message of matokit"

    code, out, _ = matokit(capfd, "send-test", "--to", SLACK, "--to", "operators")
    assert code == 0
    assert f"{SLACK}: sent.\n" in out
    assert "console: sent.\n" in out
    assert len(slack.messages) == 2
    assert len(mail.kept) == 1


def test_send_test_that_fails_says_why_and_leaves_nothing_behind(
    folder: Path, slack: SlackSimulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATOKIT_SLACK_TOKEN", "xoxb-wrong")
    code, out, err = matokit(capfd, "send-test", "--to", "slack:#alerts", "--to", "webhook:pager")
    assert code == 3
    assert f"{SLACK}: not sent: Slack said invalid_auth; put a valid bot token into MATOKIT_SLACK_TOKEN.\n" in out
    assert "webhook:pager: not sent: there is no address of webhook pager" in out
    assert "xoxb" not in out + err
    assert json.loads(matokit(capfd, "outbox", "list", "--json")[1]) == []
    code, _, err = matokit(capfd, "send-test", "--to", "#alerts")
    assert code == 2
    assert err.startswith('"#alerts" is no destination; write slack:#channel')


def test_send_test_says_why_though_alerts_wait_for_the_same_destination(
    folder: Path, slack: SlackSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    waiting = [put(folder, SLACK), put(folder, "webhook:pager"), put(folder, "webhook:pager")]
    code, out, _ = matokit(capfd, "send-test", "--to", SLACK, "--to", "webhook:pager")
    assert code == 3
    assert f"{SLACK}: sent.\n" in out
    assert "webhook:pager: not sent: there is no address of webhook pager" in out
    rows = json.loads(matokit(capfd, "outbox", "list", "--state", "pending", "--json")[1])
    assert len(rows) == len(waiting)
    assert len(slack.messages) == 1

    now = datetime.now(UTC)
    with state.opened(folder / ".matokit") as connection, state.transaction(connection):
        outbox.hold(connection, "slack", "send", now + timedelta(minutes=5), now)
    code, out, _ = matokit(capfd, "send-test", "--to", SLACK)
    assert code == 3
    assert f"{SLACK}: not sent: the service asked not to be called before " in out


def test_the_outbox_is_listed_drained_and_tried_again(
    folder: Path, slack: SlackSimulator, capfd: pytest.CaptureFixture[str]
) -> None:
    put(folder, SLACK, "<!channel> =1+1\r\nx")
    slack.down()
    code, out, _ = matokit(capfd, "outbox", "drain")
    assert code == 3
    assert "Slack cannot be reached" in out
    assert "0 messages sent, 1 put off; 1 message waits, due " in out
    code, out, _ = matokit(capfd, "outbox", "list")
    assert code == 0
    assert "1 pending, 0 sending, 0 sent, 0 dead." in out
    assert "pending slack:#alerts: <!channel> =1+1 x\n" in out

    slack.up()
    with state.opened(folder / ".matokit") as connection:
        connection.execute("update outbox set state = 'dead'")
    with Home.of(load(cwd=folder), SystemClock()).warehouse.writer():
        pass
    code, out, _ = matokit(capfd, "status")
    assert "1 message could not be delivered, the last to slack:#alerts" in out
    code, out, _ = matokit(capfd, "outbox", "retry", "7")
    assert code == 2
    code, out, _ = matokit(capfd, "outbox", "retry")
    assert (code, out.split(";")[0]) == (0, "1 message due again")
    code, out, _ = matokit(capfd, "outbox", "drain", "--json")
    assert code == 0
    assert json.loads(out)[0]["sent"] == 1
    assert len(slack.messages) == 1
    [row] = json.loads(matokit(capfd, "outbox", "list", "--state", "sent", "--json")[1])
    assert (row["destination"], row["state"]) == (SLACK, "sent")
    code, _, err = matokit(capfd, "outbox", "list", "--state", "gone")
    assert (code, err) == (2, '"gone" is no state of a message; there are pending, sending, sent, dead.\n')


def test_doctor_asks_slack_and_the_mail_server_and_sends_nothing(
    folder: Path, slack: SlackSimulator, mail: MailServer, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _, out, _ = matokit(capfd, "doctor")
    assert "ok   alerts: next digest of warnings " in out
    assert "ok   slack: http://127.0.0.1" in out
    assert "ok   smtp: 127.0.0.1" in out
    assert "note recipients: nobody in development, product:" in out
    assert (slack.messages, mail.kept) == ([], [])

    slack.scopes = frozenset({"channels:history"})
    mail.down()
    monkeypatch.setenv("MATOKIT_WEBHOOK_PAGER", "nonsense")
    monkeypatch.setenv("MATOKIT_RECIPIENTS_PRODUCT", '["webhook:pager", "webhook:other"]')
    _, out, err = matokit(capfd, "doctor", "--json")
    found = {(row["what"], row["state"]): row["sentence"] for row in json.loads(out)}
    assert "no scope chat:write, so nothing can be sent" in found["slack", "failed"]
    assert "charts are left out" in found["slack", "note"]
    assert found["smtp", "failed"] == f"the mail server 127.0.0.1:{mail.port} cannot be reached."
    assert found["webhook:pager", "failed"] == "MATOKIT_WEBHOOK_PAGER is no address that Apprise knows; correct it."
    assert found["webhook:other", "failed"].startswith("its address is missing")
    assert "nonsense" not in out + err

    monkeypatch.setenv("MATOKIT_SLACK_TOKEN", "xoxb-wrong")
    _, out, _ = matokit(capfd, "doctor")
    assert "FAIL slack: http://127.0.0.1" in out
    assert "invalid_auth" in out
    assert "xoxb" not in out


def test_doctor_names_destinations_without_a_way(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATOKIT_SLACK_TOKEN")
    monkeypatch.setenv("MATOKIT_SMTP_HOST", "")
    monkeypatch.setenv("MATOKIT_ALERTS_HOLIDAY_COUNTRY", "ZZ")
    _, out, _ = matokit(capfd, "doctor")
    assert 'FAIL alerts: alerts.holiday_country: the holidays of "ZZ" are not known' in out
    assert f"FAIL slack: {SLACK} cannot be reached without a bot token in MATOKIT_SLACK_TOKEN." in out
    assert f"FAIL smtp: {MAIL} cannot be reached without smtp.host" in out
