"""Files, the console and webhooks: what is written, shown and posted, and nothing that steers or leaks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines.delivery.message_files import put_away_messages
from matokit_pipelines.simulator.wire import Answer, Listener, Request
from tests.delivering import PNG, Office, message

CHAT = "webhook:chat"


class Receiver:
    """A service that takes posts, or answers them with the statuses that are put up."""

    slow_seconds = 0.0

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.statuses: list[int] = []
        self.asked = 0

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        self.asked += 1
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            return Answer(200, "text/plain", b""), "dropped"
        if status == 200:
            self.bodies.append(json.loads(request.body))
        return Answer(status, "text/plain", b"x"), None


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def office(tmp_path: Path, receiver: Receiver) -> Iterator[Office]:
    listener = Listener(receiver, 0)
    address = listener.url.replace("http://", "json://bot:pass%2Fword@")
    yield Office(tmp_path, environ={"MATOKIT_WEBHOOK_CHAT": address + "/hooks/token-1?retry=3&wait=1"})
    listener.stop()


def test_a_webhook_gets_plain_text_in_order(office: Office, receiver: Receiver) -> None:
    office.put("firing", CHAT, told=message("r fails", text="line \\n one\n:smile: <!channel> @everyone"))
    office.put("resolved", CHAT, told=message("r is well"))
    assert office.drain().sent == 2
    assert [body["title"] for body in receiver.bodies] == ["r fails", "r is well"]
    told = str(receiver.bodies[0]["message"])
    assert told.replace("\N{WORD JOINER}", "") == "line \\n one\n:smile: <!channel> @everyone"
    assert "<!channel>" not in told
    assert "@everyone" not in told
    assert receiver.bodies[0]["type"] == "failure"


@pytest.mark.parametrize("status", [500, 503, 429, 404, 0])
def test_a_webhook_is_asked_once_and_again_later(office: Office, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    office.put("firing", CHAT)
    report = office.drain()
    assert (report.sent, report.put_off, receiver.asked) == (0, 1, 1)
    office.drain_until_empty()
    assert (len(receiver.bodies), receiver.asked) == (1, 2)


def test_a_webhook_that_refuses_the_text_is_not_asked_again(office: Office, receiver: Receiver) -> None:
    receiver.statuses = [400]
    office.put("firing", CHAT)
    assert (office.drain().dead, receiver.asked) == (1, 1)


def test_addresses_of_webhooks_reach_no_log_and_no_sentence(
    office: Office, receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.statuses = [500, 0, 404]
    office.put("firing", CHAT)
    sentences: tuple[str, ...] = ()
    with caplog.at_level(logging.DEBUG):
        for _ in range(4):
            sentences += office.drain().sentences
            office.clock.advance(timedelta(minutes=6))
        office.environ["MATOKIT_WEBHOOK_CHAT"] = "unheard://token-1"
        office.put("resolved", CHAT)
        sentences += office.drain().sentences
    written = caplog.text + " ".join(sentences) + "".join(capfd.readouterr())
    written += " ".join(str(row) for row in office.rows())
    assert len(receiver.bodies) == 1
    for secret in ("token-1", "pass%2Fword", "pass/word", "127.0.0.1"):
        assert secret not in written
    assert "MATOKIT_WEBHOOK_CHAT" in sentences[-1]


def test_a_message_is_files_that_belong_together(tmp_path: Path) -> None:
    office = Office(tmp_path)
    key = office.put("firing", "files", told=message("Größe: r fails"))
    assert office.drain().sent == 1
    folder = tmp_path / "messages"
    names = sorted(file.name for file in folder.iterdir())
    assert [name.partition("Z-")[2].rpartition("-")[0] for name in names[:1]] == ["groe-r-fails-" + names[0][-20:-10]]
    assert [Path(name).suffix for name in names] == [".png", ".html", ".json", ".txt"]
    text, page, entry = (next(folder.glob(f"*.{ending}")) for ending in ("txt", "html", "json"))
    assert text.read_text(encoding="utf-8") == "Größe: r fails\n\n13 of 25 events failed.\n"
    assert office.row(key).provider_ref == text.name
    assert f"src='{names[0]}'" in page.read_text(encoding="utf-8")
    assert (folder / names[0]).read_bytes() == PNG
    assert json.loads(entry.read_text(encoding="utf-8"))["message_key"] == key


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "x" * 10_000, "\u202e", "", "con.txt", "\x00\r\n"])
def test_hostile_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    office = Office(tmp_path)
    office.put("firing", "files", about=name, told=message(name))
    assert office.drain().sent == 1
    assert {path.parent for path in tmp_path.rglob("*.txt")} == {tmp_path / "messages"}
    assert len(list((tmp_path / "messages").iterdir())) == 4


def test_files_that_cannot_be_written_wait(tmp_path: Path) -> None:
    office = Office(tmp_path)
    (tmp_path / "messages").write_text("in the way", encoding="utf-8")
    office.put("firing", "files")
    assert office.drain().waiting == 1
    (tmp_path / "messages").unlink()
    office.drain_until_empty()


def test_the_console_shows_lines_that_steer_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office(tmp_path)
    office.put("firing", "console", told=message("r\r\nfails \x1b[2J", text="one\ntwo \u202e\x07"))
    assert office.drain().sent == 1
    shown = capsys.readouterr().out
    assert shown == "[critical] r fails \ufffd[2J\n  one\n  two \ufffd\ufffd\n"


def test_messages_in_files_are_put_away_by_their_age(tmp_path: Path) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    for name in (
        "20260101T000000Z-old-0a1b.txt",
        "20260101T000000Z-old-0a1b.html",
        "20260401T000000Z-new-0a1b.txt",
        "my-notes.txt",
    ):
        (folder / name).write_text("x", encoding="utf-8")
    assert put_away_messages(tmp_path, datetime(2026, 3, 1, tzinfo=UTC)) == 2
    assert sorted(file.name for file in folder.iterdir()) == ["20260401T000000Z-new-0a1b.txt", "my-notes.txt"]
    assert put_away_messages(tmp_path / "none", datetime(2026, 3, 1, tzinfo=UTC)) == 0
