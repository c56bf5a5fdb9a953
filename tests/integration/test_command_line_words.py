"""What the command line concludes from names, settings and reasons, and that nobody's data is among its words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.cli.exclusions import LONGEST_REASON, to_do, without_personal
from matokit_pipelines.cli.first_report import mend
from matokit_pipelines.cli.frame import bytes_of, counted, moment_of, shortened
from matokit_pipelines.cli.guessing import guess_dimensions
from matokit_pipelines.cli.kinds import kind_of
from matokit_pipelines.cli.losses import AGENTS, losses
from matokit_pipelines.cli.why_missing import arrivals
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.sources.piwik_pro import App, PiwikProClient
from matokit_pipelines.sources.sites import Dimension, Site

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAFE = {"session_limit_exceeded_action": "just_split", "exclude_crawlers": False, "exclude_unknown_urls": False}


def app(*, unknown_urls: bool = False, agents: tuple[str, ...] = ()) -> App:
    return App(Site("x", "Installer", ZoneInfo("UTC"), None), False, unknown_urls, agents)


def named(number: int, name: str, scope: str = "event", *, active: bool = True) -> Dimension:
    return Dimension(number, name, active, scope, number)


@pytest.mark.parametrize("scope", ["action", "event", "session"])
def test_dimensions_are_known_by_their_names_in_both_kinds_of_source(scope: str) -> None:
    found = [named(7, "Git commit", scope), named(3, "OS", scope), named(5, "CPU architecture", scope)]
    assert guess_dimensions(found) == {"os": 3, "architecture": 5, "commit": 7}


def test_dimensions_that_cannot_be_read_are_not_chosen_and_the_lowest_number_wins() -> None:
    found = [
        named(1, "Operating system", "visit"),
        named(2, "Operating system", active=False),
        named(9, "os version"),
        named(4, "Operating system"),
        named(6, "Cost centre"),
    ]
    assert guess_dimensions(found) == {"os": 4, "commit": 9}


@given(st.lists(st.tuples(st.integers(1, 50), st.text(max_size=12), st.booleans()), max_size=12))
def test_no_dimension_gets_two_meanings(given_names: list[tuple[int, str, bool]]) -> None:
    chosen = guess_dimensions([named(number, name, active=active) for number, name, active in given_names])
    assert set(chosen) <= {"os", "architecture", "commit"}
    distinct = {number for number, _, _ in given_names}
    if len(distinct) == len(given_names):
        assert len(set(chosen.values())) == len(chosen)


@pytest.mark.parametrize(
    ("url", "site", "kind"),
    [
        ("https://a.piwik.pro", None, "piwik_pro"),
        ("https://A.PIWIK.PRO/", None, "piwik_pro"),
        ("https://piwik.pro.example.org", "3", "matomo"),
        ("https://notpiwik.pro", "3", "matomo"),
        ("https://analytics.example.org", "AAAAAAAA-2222-4333-8444-555555555555", "piwik_pro"),
        (None, None, "matomo"),
    ],
)
def test_the_kind_is_known_by_site_and_address(url: str | None, site: str | None, kind: str) -> None:
    assert kind_of(None, url, site)[0] == kind


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from([None, "matomo", "piwik_pro"]))
def test_any_text_is_a_kind_or_one_sentence(url: str, site: str, kind: str | None) -> None:
    said = "One."
    try:
        assert kind_of(kind, url, site)[0] in ("matomo", "piwik_pro")
    except SettingsError as error:
        said = str(error)
    assert said.endswith(".")
    assert "\n" not in said


def test_a_site_that_loses_nothing_has_nothing_to_tell() -> None:
    assert losses(app(), SAFE) == []


@pytest.mark.parametrize(
    ("tracker", "setting", "words"),
    [
        ({"exclude_unknown_urls": True}, "exclude_unknown_urls", "installer events are"),
        ({"excluded_user_agents": ["CURL"]}, "excluded_user_agents", "what curl send"),
        ({"excluded_user_agents": ["Mozilla/*PowerShell*"]}, "excluded_user_agents", "PowerShell 5, PowerShell 7"),
        ({"excluded_ips": ["10.1.2.*", "10.9.9.9"]}, "excluded_ips", "has 2 entries"),
        ({"exclude_crawlers": True}, "exclude_crawlers", "is on"),
        ({"session_limit_exceeded_action": "split_and_exclude", "session_max_event_count": 70,
          "session_max_duration_seconds": 5_400}, "session_limit_exceeded_action", "after 70 events or 1.5 h"),
    ],
)  # fmt: skip
def test_each_setting_that_loses_events_is_named_alone(tracker: dict[str, object], setting: str, words: str) -> None:
    [loss] = losses(app(), SAFE | tracker)
    assert loss.setting == setting
    assert words in loss.sentence
    assert "10." not in loss.sentence


def test_what_is_not_set_for_a_site_is_as_accounts_begin() -> None:
    assert [loss.setting for loss in losses(app(), {})] == ["session_limit_exceeded_action", "exclude_crawlers"]
    assert losses(app(unknown_urls=True), {})[0].setting == "exclude_unknown_urls"
    assert losses(app(unknown_urls=True), SAFE) == [], "the tracker's own setting holds"


def test_what_the_site_says_is_told_where_the_tracker_may_not_be_read() -> None:
    assert losses(app(), None) == []
    assert [loss.setting for loss in losses(app(agents=("Ruby", " ")), None)] == ["excluded_user_agents"]


def test_every_agent_of_a_script_is_known() -> None:
    for name, agent in AGENTS.items():
        [loss] = losses(app(agents=(agent,)), None)
        assert name in loss.sentence


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("IP is on the crawler list", "exclude_crawlers"),
        ("User agent is excluded", "excluded user agents"),
        ("IP is excluded", "excluded addresses"),
        ("URL is not on the list of the site", "exclude_unknown_urls"),
        ("Session limit exceeded", "just_split"),
        ("Visitor opted out", "nothing to mend"),
        ("Something new", "vendor's support"),
        ("", "vendor's support"),
    ],
)
def test_each_reason_has_something_to_do(reason: str, words: str) -> None:
    assert words in to_do(reason)


AROUND = st.sampled_from(["IP {} is excluded", "Resolving {} failed", "{}", "excluded: {};", "for {}, by rule"])


@given(AROUND, st.ip_addresses(v=4))
def test_no_address_of_a_network_comes_out(around: str, address: IPv4Address) -> None:
    assert str(address) not in without_personal(around.format(address))


@given(AROUND, st.ip_addresses(v=6))
def test_no_address_of_a_newer_network_comes_out(around: str, address: IPv6Address) -> None:
    for text in (str(address), address.exploded):
        assert text not in without_personal(around.format(text))


@given(AROUND, st.from_regex(r"[a-z]{2,9}(\.[a-z]{2,9})?@[a-z]{3,9}\.(dk|org|example\.com)", fullmatch=True))
def test_no_mail_comes_out(around: str, mail: str) -> None:
    assert mail.split("@")[0] + "@" not in without_personal(around.format(mail))


@given(AROUND, st.uuids())
def test_no_id_comes_out(around: str, identity: UUID) -> None:
    for text in (str(identity), identity.hex[:16] if any(c.isdigit() for c in identity.hex[:16]) else "0" * 16):
        assert text not in without_personal(around.format(text))


def test_no_user_page_or_log_comes_out() -> None:
    told = without_personal(
        'user_id=karl visits https://example.org/u/karl in "his words" (error: x, log: karl at home)'
    )
    assert "karl" not in told
    assert "his words" not in told


@given(st.text(max_size=400))
def test_any_reason_is_one_short_line(text: str) -> None:
    told = without_personal(text)
    assert len(told) <= LONGEST_REASON
    assert told.isprintable()


@given(st.text(max_size=80), st.integers(1, 40))
def test_text_from_elsewhere_is_one_line_of_its_length(text: str, longest: int) -> None:
    told = shortened(text, longest)
    assert len(told) <= longest
    assert told.isprintable()
    assert shortened(told, longest) == told


def test_amounts_and_moments_read_well() -> None:
    assert [bytes_of(n) for n in (0, 1, 41_200, 999_001, 1_250_000, 61_000_000)] == [
        "0 kB", "1 kB", "42 kB", "1.0 MB", "1.2 MB", "61 MB",
    ]  # fmt: skip
    assert [counted(n, "entry", "entries") for n in (0, 1, 2_000)] == ["0 entries", "1 entry", "2,000 entries"]
    assert moment_of(None, NOW) == "nothing"
    assert moment_of(NOW - timedelta(minutes=90), NOW) == "2026-11-20 10:30 UTC (90 min ago)"
    assert moment_of(NOW - timedelta(days=4), NOW).endswith("(4 days ago)")
    assert moment_of(NOW + timedelta(minutes=5), NOW).endswith("(0 min ago)")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "event_type", "server_time", "custom_event_category", "custom_event_name", "exclusion_reason", "error_message",
)  # fmt: skip
EVENTS = st.lists(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)), max_size=4)


class Debugged:
    """What a debugger gave, in whatever shape."""

    def __init__(self, sessions: list[dict[str, Any]]) -> None:
        self.sessions = sessions

    def debug_sessions(self, minutes: int, visitor: str | None) -> Iterator[dict[str, Any]]:
        return iter(self.sessions)


@given(st.lists(st.fixed_dictionaries({}, optional={"events": EVENTS | JSON}), max_size=4))
def test_whatever_a_debugger_gives_each_event_is_counted_once(sessions: list[dict[str, Any]]) -> None:
    arrived = arrivals(cast(PiwikProClient, Debugged(sessions)), 30, None, NOW)
    events = [e for s in sessions if isinstance(s.get("events"), list) for e in s["events"] if isinstance(e, dict)]
    assert sum(arrived.fates.values()) + arrived.earlier == len(events)


def test_what_to_mend_names_five_at_most_and_each_once() -> None:
    row = {"ambiguous": 0.0, "inferred": 0.5, "left out": None}
    many = [{"name": f"part_{n % 7}"} | row for n in range(21)]
    [line] = mend(many)
    assert line.startswith("part_0, part_1, part_2, part_3, part_4 and others: ")
