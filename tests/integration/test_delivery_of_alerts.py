"""Every kind of alert message, as it is composed, goes through Slack and mail whole: blocks, page and chart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from matokit_pipelines.alerts.content.composing import compose
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.delivery.slack_payload import fits, hardened
from matokit_pipelines.simulator.mail import MailServer
from matokit_pipelines.simulator.slack import SlackSimulator
from tests.alert_scenes import evidence_of_night, links, night
from tests.delivering import BY_MAIL, ON_SLACK, Office

pytestmark = pytest.mark.slow  # each has its chart drawn


@pytest.fixture(scope="module")
def told() -> dict[str, Message]:
    evidence = evidence_of_night()
    return {name: compose(announcement, evidence[name], links()) for name, announcement in night()}


def test_all_of_a_night(tmp_path: Path, told: dict[str, Message]) -> None:
    office = Office(tmp_path)
    with SlackSimulator(now=office.clock.now) as office.slack, MailServer(now=office.clock.now) as office.mail:
        for name, message in told.items():
            for place in (ON_SLACK, BY_MAIL, "files"):
                office.put("firing", place, about=name, told=message)
        report = office.drain()
        assert (report.sent, report.put_off, report.dead) == (3 * len(told), 0, 0)
        posted = [kept for kept in office.slack.messages if kept.message_key is not None]
        assert all(kept.body["blocks"] and kept.body["text"] for kept in posted)
        assert len(posted) == len(office.mail.kept) == len(told)
        assert [row.error for row in office.rows("sent") if row.error] == []
        pictures = sum(len(message.images) for message in told.values())
        assert len(office.slack.files) == len(list((tmp_path / "messages").glob("*.png"))) == pictures > 0
        for kept in office.mail.kept:
            kinds = [part.get_content_type() for part in kept.mail.walk()]
            assert kinds[:2] == ["multipart/alternative", "text/plain"]
            assert "text/html" in kinds
        office.clock.advance(timedelta(days=1))
        assert office.drain().sent == 0


def test_blocks_stay_within_what_is_tried(told: dict[str, Message]) -> None:
    for name, message in told.items():
        assert message.blocks is not None, name
        assert fits(hardened(message.blocks)), name
