"""Recorded refusals of a real Matomo: which error, one sentence, its exit code, and how often the server was asked."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import (
    REFUSED,
    AccessRefused,
    AnswerNotUnderstood,
    CredentialsRefused,
    LockedOut,
    MatokitError,
    PageTooLarge,
    ReportRefused,
    SourceAnswered,
    SourceMissing,
    SourceUnavailable,
)
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.passes import PassResult
from tests.replay import TOKEN, Replay, fixture_day, home_at, rows_of, utc, verbatim

pytestmark = pytest.mark.slow

NOW = utc(2026, 11, 15, 12)
ATTEMPTS = 4
PATIENCE = f"[http]\nattempts = {ATTEMPTS}"
LIVE = "Live.getLastVisitsDetails"
BAD_TOKEN = verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.bad-token")
NO_SITE = verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.noaccess")
VIEWER = verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.viewer")

# recording -> error, requests in all, when every call is answered so
EVERYTHING: dict[str, tuple[type[MatokitError], int]] = {
    **dict.fromkeys(
        (
            "error.bad-token.post-token-query-params", "error.bad-token", "error.bad-token.get", "error.expired-token",
            "error.malformed-token", "error.no-token", "error.empty-token", "error.anonymous-token",
            "error.token-in-authorization-header", "error.post-only-token-by-get", "only-secure-tokens.get",
            "diagnose.API.getMatomoVersion.noaccess",
        ),
        (CredentialsRefused, 2),
    ),
    **dict.fromkeys(
        ("brute-force-lock.bad-token", "brute-force-lock.good-token.post-token-query-params"), (LockedOut, 1)
    ),
    "brute-force-lock.good-token": (SourceAnswered, 1),
    "db-down.post-token-query-params": (SourceUnavailable, ATTEMPTS),
    "db-down.VisitsSummary.get": (SourceAnswered, 1),
    "maintenance.post-token-query-params": (SourceUnavailable, ATTEMPTS),
    "maintenance.VisitsSummary.get": (SourceUnavailable, ATTEMPTS),
    "error.format-unknown": (AnswerNotUnderstood, 1),
    "error.format-xml": (AnswerNotUnderstood, 1),
    "error.unknown-method": (ReportRefused, 1),
    **dict.fromkeys(
        (
            "error.unknown-site", "error.idSite-zero", "error.idSite-text", "error.idSite-missing",
            "error.unknown-module", "error.method-missing", "error.malformed-method",
        ),
        (SourceMissing, 1),
    ),
}  # fmt: skip

# the site and its dimensions answer, the visit log does not: two requests before it
VISIT_LOG: dict[str, tuple[type[MatokitError], int]] = {
    **dict.fromkeys(
        (
            "disabled.visitor-log", "error.invalid-date-live", "error.invalid-segment-live",
            "error.idSite-missing-live",
            "error.segment-unknown-dimension", "error.invalid-date",
            "error.invalid-date-number", "error.invalid-period",
            "error.invalid-range", "error.reversed-range", "error.date-missing", "error.period-missing",
            "error.invalid-segment", "error.invalid-segment-syntax",
        ),
        (AnswerNotUnderstood, 3),
    ),
    "error.no-access-live": (CredentialsRefused, 3),
    "server.memory-exhausted": (PageTooLarge, 2 + 9),  # 500, 250, ... 1
    "maintenance.post-token-query-params": (SourceUnavailable, 2 + ATTEMPTS),
    "db-down.post-token-query-params": (SourceUnavailable, 2 + ATTEMPTS),
    "brute-force-lock.good-token.post-token-query-params": (LockedOut, 3),
}  # fmt: skip


def is_one_sentence(said: str, server: Replay) -> None:
    """What a person may be told."""
    assert "\n" not in said
    assert said.endswith(".")
    assert not said.endswith("..")
    assert "installers" in said
    assert server.url.removeprefix("http://") in said
    assert TOKEN not in said
    assert "<" not in said


def refused(folder: Path, server: Replay, site: str = "1") -> PassResult:
    with server.serving():
        [result] = refresh.extract(home_at(folder, server.url, now=NOW, site=site, settings=PATIENCE))
    assert result.error is not None
    is_one_sentence(str(result.error), server)
    assert result.error.exit_code == REFUSED
    assert result.requests == len(server.asked)
    return result


@pytest.mark.parametrize("name", EVERYTHING)
def test_refusal_of_everything(tmp_path: Path, name: str) -> None:
    error, requests = EVERYTHING[name]
    answer = verbatim(name)
    sites = BAD_TOKEN if answer[0] == 401 else answer
    server = Replay(instead=lambda method, params: sites if "getSitesId" in method else answer)
    result = refused(tmp_path, server)
    assert type(result.error) is error
    assert result.requests == requests


@pytest.mark.parametrize("name", VISIT_LOG)
def test_refusal_of_the_visit_log(tmp_path: Path, name: str) -> None:
    error, requests = VISIT_LOG[name]
    answer = verbatim(name)
    server = Replay(instead=lambda method, params: answer if method == LIVE else None)
    result = refused(tmp_path, server)
    assert isinstance(result.error, error)
    assert result.requests == requests
    assert result.landed == 0


@pytest.mark.parametrize(
    ("name", "sites", "site", "words"),
    [
        ("error.no-access-to-site", VIEWER, "2", "only sites 1"),
        ("error.unknown-site.view-token", VIEWER, "99", "only sites 1"),
        ("error.idSite-mixed.view-token", VIEWER, "2", "only sites 1"),
        ("error.no-access-at-all", NO_SITE, "1", "no site at all"),
    ],
)
def test_good_token_without_rights_is_told_from_a_bad_one(
    tmp_path: Path, name: str, sites: tuple[int, str, bytes], site: str, words: str
) -> None:
    answer = verbatim(name)
    server = Replay(sites=sites, instead=lambda method, params: answer if method.endswith("getSiteFromId") else None)
    result = refused(tmp_path, server, site)
    assert isinstance(result.error, AccessRefused)
    assert words in str(result.error)
    assert result.requests == 2


def test_refused_token_is_not_tried_again_within_the_hour_but_another_is(tmp_path: Path) -> None:
    server = Replay(instead=lambda method, params: BAD_TOKEN)
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW)
        refresh.extract(home)
        assert len(server.asked) == 2
        [again] = refresh.extract(home)
        assert isinstance(again.error, CredentialsRefused)
        assert str(again.error).endswith(".")
        assert len(server.asked) == 2, "about 20 failed log-ins lock the address out"
        other = home_at(tmp_path, server.url, now=NOW, environ={"MATOKIT_INSTALLERS_TOKEN": "another"})
        refresh.extract(other)
        assert len(server.asked) == 4
        refresh.extract(home_at(tmp_path, server.url, now=utc(2026, 11, 15, 13, 1), environ={
            "MATOKIT_INSTALLERS_TOKEN": "another"}))  # fmt: skip
    assert len(server.asked) == 6


def test_memory_that_runs_out_halves_the_page_until_everything_is_read(tmp_path: Path) -> None:
    exhausted = verbatim("server.memory-exhausted")
    server = fixture_day(
        instead=lambda method, params: exhausted if method == LIVE and int(params["filter_limit"]) > 9 else None
    )
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW, source="page_size = 500")
        [result] = refresh.extract(home)
    assert result.error is None
    assert rows_of(home, "select count(*) from raw.matomo_events") == [(194,)]
    limits = [int(params["filter_limit"]) for method, params in server.asked if method == LIVE]
    assert limits[:8] == [500, 250, 125, 62, 31, 15, 7, 7]


def test_failure_that_passes_is_retried_and_leaves_no_trace(tmp_path: Path) -> None:
    failures = [verbatim("db-down.post-token-query-params"), verbatim("maintenance.post-token-query-params")] * 2
    server = fixture_day()
    server.instead = lambda method, params: failures.pop() if len(server.asked) % 2 and failures else None
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW)
        [result] = refresh.extract(home)
    assert result.error is None
    assert failures == []
    assert rows_of(home, "select count(*) from raw.matomo_events") == [(194,)]


def test_what_a_broken_reading_gave_is_kept_and_the_next_pass_ends_it(tmp_path: Path) -> None:
    disabled = verbatim("disabled.visitor-log")
    server = fixture_day()
    server.instead = lambda method, params: disabled if method == LIVE and server.methods().count(LIVE) == 3 else None
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW, source="page_size = 20")
        [broken] = refresh.extract(home)
        assert isinstance(broken.error, AnswerNotUnderstood)
        assert 0 < broken.landed < 194
        assert broken.watermark is None
        assert rows_of(home, "select status, proof from ledger.windows") == [("incomplete", "none")]
        [good] = refresh.extract(home)
    assert good.error is None
    assert rows_of(home, "select count(*) from raw.matomo_events") == [(194,)]
    assert good.vanished == 0
    assert rows_of(home, "select last_error from ledger.sources") == [(None,)]


def test_half_an_answer_is_asked_for_again(tmp_path: Path) -> None:
    halves = [b'[{"idVisit": 1, "actionDetails": [']
    server = fixture_day(
        instead=lambda method, params: (200, "application/json", halves.pop()) if method == LIVE and halves else None
    )
    with server.serving():
        [result] = refresh.extract(home_at(tmp_path, server.url, now=NOW))
    assert result.error is None
    assert result.landed >= 194


def test_page_instead_of_data_is_told_and_not_repeated(tmp_path: Path) -> None:
    server = Replay(instead=lambda method, params: (200, "text/html", b"<html><h1>Welcome to nginx</h1></html>"))
    result = refused(tmp_path, server)
    assert type(result.error) is AnswerNotUnderstood
    assert "url" in str(result.error)
    assert result.requests == 1


def test_wrong_token_at_first_does_not_spoil_the_home(tmp_path: Path) -> None:
    server = fixture_day()
    server.instead = lambda method, params: BAD_TOKEN if server.tokens == {"wrong"} else None
    with server.serving():
        [bad] = refresh.extract(home_at(tmp_path, server.url, now=NOW, environ={"MATOKIT_INSTALLERS_TOKEN": "wrong"}))
        assert isinstance(bad.error, CredentialsRefused)
        home = home_at(tmp_path, server.url, now=NOW)
        [good] = refresh.extract(home)
    assert good.error is None
    assert rows_of(home, "select zone, refused_credentials from ledger.sources") == [("Europe/Copenhagen", None)]


def test_token_without_rights_fails_to_log_in_once_only(tmp_path: Path) -> None:
    answer = verbatim("error.no-access-to-site")
    server = Replay(instead=lambda method, params: answer if method.endswith("getSiteFromId") else None)
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW, site="2")
        for _ in range(3):
            [result] = refresh.extract(home)
            assert type(result.error) is AccessRefused
        assert server.methods().count("SitesManager.getSiteFromId") == 1
        server.sites = verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.admin")
        server.instead = lambda method, params: None
        [result] = refresh.extract(home)
    assert result.error is None, "access given meanwhile is seen at once"


def test_day_that_cannot_be_read_does_not_hold_the_rest_for_ever(tmp_path: Path) -> None:
    exhausted = verbatim("server.memory-exhausted")
    poison = "2026-11-13"
    server = fixture_day(instead=lambda method, params: exhausted if params.get("date") == poison else None)
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW, start=date(2026, 11, 13), settings=PATIENCE)
        results = [refresh.extract(home)[0] for _ in range(6)]
    assert [type(result.error) for result in results[:5]] == [PageTooLarge] * 5
    assert results[4].watermark is None
    assert results[5].error is None
    assert results[5].watermark == utc(2026, 11, 15, 11, 50)
    assert rows_of(home, "select count(*) from raw.matomo_events") == [(194,)]
    assert rows_of(home, "select count(*) from ledger.windows where status = 'incomplete'") == [(5,)]


def test_watermark_counts_from_the_start_of_a_slow_read(tmp_path: Path) -> None:
    clock = FixedClock(NOW)

    def slow(method: str, params: dict[str, str]) -> None:
        clock.advance(timedelta(minutes=15))

    server = fixture_day(instead=slow)
    with server.serving():
        [result] = refresh.extract(home_at(tmp_path, server.url, now=clock, start=date(2026, 11, 15)))
    # site and dimensions took half an hour, so the read began and ended its window at 12:30
    assert result.watermark == utc(2026, 11, 15, 12, 20)


def test_log_in_another_order_is_not_believed(tmp_path: Path) -> None:
    server = fixture_day()
    backwards = json.dumps(server.page({"filter_sort_order": "desc", "filter_limit": "20"})).encode()
    server.instead = lambda method, params: (200, "application/json", backwards) if method == LIVE else None
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW, source="page_size = 20")
        [result] = refresh.extract(home)
    assert isinstance(result.error, AnswerNotUnderstood)
    assert rows_of(home, "select status from ledger.windows") == [("incomplete",)]


def test_reading_that_broke_off_takes_nothing_away(tmp_path: Path) -> None:
    """What was not received is gone only if everything was received."""
    server = fixture_day()
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW, source="page_size = 20")
        refresh.extract(home)
        before, disabled = server.methods().count(LIVE), verbatim("disabled.visitor-log")
        server.instead = lambda method, params: (
            disabled if method == LIVE and server.methods().count(LIVE) == before + 2 else None
        )
        [broken] = refresh.extract(home, days=(date(2026, 11, 14), date(2026, 11, 14)))
    assert isinstance(broken.error, AnswerNotUnderstood)
    assert 0 < broken.landed < 194
    assert broken.vanished == 0
    assert rows_of(home, "select count(*), count(vanished_at) from raw.matomo_events") == [(194, 0)]


def test_event_that_the_server_no_longer_gives_is_marked_and_kept(tmp_path: Path) -> None:
    server = fixture_day()
    with server.serving():
        home = home_at(tmp_path, server.url, now=NOW)
        refresh.extract(home)
        gone = server.visits[0]["actionDetails"].pop()
        [result] = refresh.extract(home, days=(date(2026, 11, 14), date(2026, 11, 14)))
    assert result.vanished == 1
    found = rows_of(home, "select event_id from raw.matomo_events where vanished_at is not null")
    assert found == [(str(gone["pageId"]),)]
    assert rows_of(home, "select * from ledger.touched_days") != []
