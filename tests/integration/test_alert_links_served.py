"""From a message of an alert to its page: real messages of a pass, and the tool server that their links lead to.

Not here: which messages have links (unit/test_alert_messages.py), the pages themselves (test_served_pages.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts.passes import run_pass
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.warehouse.refresh import Home
from tests.landed import home_at, land, series
from tests.serving import ENVIRON, PAGES_TOKEN, Served, served

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)  # a Wednesday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PUBLIC = "https://tools.example.org"
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An outage that was told of, and told to be over."""
    clock = FixedClock(NOON)
    made = home_at(tmp_path_factory.mktemp("told"), clock, f'\n[links]\npublic_url = "{PUBLIC}"\n')
    land(made, series(NOON - 7 * DAY, 420, timedelta(minutes=24), machine="w{}"), complete_to=NOON)
    run_pass(made)
    for hours, events in (
        (1, series(NOON + 20 * MINUTE, 30, MINUTE, machine="f{}", failed=True)),
        (6, series(NOON + HOUR, 300, MINUTE, machine="g{}")),
    ):
        clock.advance(NOON + hours * HOUR - clock.now())
        land(made, events, complete_to=clock.now())
        run_pass(made)
    return made


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Served]:
    loaded = home.loaded
    with served(replace(loaded, environ={**loaded.environ, **ENVIRON}), home.clock) as running:
        yield running


def told(home: Home) -> dict[str, Message]:
    with state.opened(home.loaded.home) as store:
        rows = store.execute("select message_key, payload from outbox order by id").fetchall()
    return {row["message_key"]: Message.from_json(row["payload"]) for row in rows}


def after_log_in(server: Served, address: str) -> tuple[str, str]:
    """Where a person without a cookie ends who follows a link: the path, and the page."""
    first = server.client.get(address, headers=PAGE)
    assert first.status_code == 303
    form = urljoin(f"{server.url}{address}", first.headers["location"])
    assert urlsplit(form).path == "/login"
    shown = server.client.get(form)
    assert 'action="' not in shown.text  # it posts to its own address, so a browser keeps the fragment too
    wanted = unescape(re.findall(r'name="next" value="([^"]*)"', shown.text)[0])
    answer = server.client.post(form, data={"token": PAGES_TOKEN, "next": wanted})
    assert answer.status_code == 303
    there = urlsplit(urljoin(form, answer.headers["location"])).path
    cookie = answer.headers["set-cookie"].partition(";")[0]
    seen = server.client.get(there, headers={**PAGE, "cookie": cookie})
    assert seen.status_code == 200
    return there, seen.text


def test_every_message_leads_to_its_page_by_way_of_the_log_in(home: Home, server: Served) -> None:
    kinds, pages = set(), set()
    for key, message in told(home).items():
        [address] = re.findall(rf"{PUBLIC}(/alerts/[0-9a-f]*)", message.text)
        kinds.add(key.split("|")[4])
        if address == "/alerts/":
            continue
        pages.add(address)
        path, page = after_log_in(server, address)
        assert path == address
        rule = key.split("|")[0]
        assert f"runbook#{rule}" in page
    assert {"firing", "resolved"} <= kinds
    assert pages


def test_the_list_of_all_is_reached_the_same_way(server: Served) -> None:
    path, page = after_log_in(server, "/alerts/")
    assert path == "/alerts/"
    assert "success" in page


def test_every_message_leads_to_its_rule_in_the_runbook(home: Home, server: Served) -> None:
    _, page = after_log_in(server, "/runbook")
    rules = {found for message in told(home).values() for found in re.findall(rf"{PUBLIC}/runbook#(\w+)", message.text)}
    assert "overall_success_rate" in rules
    for rule in rules:
        assert f'<h2 id="{rule}">' in page


def test_the_runbook_is_closed_to_strangers(server: Served) -> None:
    assert server.client.get("/runbook").status_code == 401
    assert server.get("/runbook", token=PAGES_TOKEN).status_code == 200


def test_without_an_address_messages_name_the_file_and_no_page(tmp_path: Path) -> None:
    made = home_at(tmp_path, FixedClock(NOON))
    land(made, series(NOON - 7 * DAY, 420, timedelta(minutes=24), machine="w{}"), complete_to=NOON)
    land(made, series(NOON - 31 * MINUTE, 30, MINUTE, machine="f{}", failed=True), complete_to=NOON)
    run_pass(made)
    messages = told(made)
    assert messages
    for message in messages.values():
        assert "/alerts/" not in message.text
        assert "docs/runbook.md#" in message.text
