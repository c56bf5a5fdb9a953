"""Asking Matomo for reports: one question, many in a request, what a refusal is, the shapes of answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock, SystemClock
from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    CredentialsRefused,
    MatokitError,
    PageTooLarge,
    ReportRefused,
    SourceTimedOut,
)
from matokit_pipelines.sources.http import HttpLimits, HttpSession
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.sources.matomo_reports import (
    REPORTS,
    MatomoReports,
    Question,
    by_period,
    figures_in,
    question,
    rows_in,
)
from tests.replay import TOKEN, Answer, Replay, recording, utc, verbatim
from tests.web_replay import BULK, questions, web_replay

NOW = utc(2026, 11, 20, 12)
DAY = {"period": "day", "date": "2026-11-18"}
VISITS = Question("VisitsSummary.get", DAY)


@contextmanager
def reports(server: Replay, *, site: str = "2", **limits: Any) -> Iterator[MatomoReports]:
    clock = SystemClock() if limits else FixedClock(NOW)
    with server.serving():
        session = HttpSession("shop", server.url, clock, HttpLimits(attempts=2, **limits))
        try:
            yield MatomoReports(MatomoClient(session, site, lambda: TOKEN))
        finally:
            session.close()


def always(answer: Answer) -> Replay:
    return Replay(instead=lambda method, params: answer)


def told(error: MatokitError) -> str:
    """What a person reads: one sentence without a secret."""
    said = str(error)
    assert said.endswith(".")
    assert "\n" not in said
    assert "<" not in said
    assert TOKEN not in said
    assert "shop" in said
    return said


def test_every_report_has_its_own_question_and_a_table_that_exists() -> None:
    asked = {(report.method, tuple(report.params.items())) for report in REPORTS.values()}
    assert len(asked) == len(REPORTS) == 15
    assert all(name == report.name for name, report in REPORTS.items())
    assert question(REPORTS["goals"], "day", "2026-11-18", goal="3", filter_limit="5").params == {
        **DAY, "idGoal": "3", "filter_limit": "5",
    }  # fmt: skip


def test_one_question_is_answered_by_what_was_sent() -> None:
    with reports(web_replay()) as asking:
        assert asking.ask(VISITS) == recording("VisitsSummary.get.day")["body"]
        assert [goal["name"] for goal in asking.goals()] == ["Newsletter sign-up", "Contact form"]
        assert asking.facts()["currency"] == "EUR"


def test_many_questions_go_in_few_requests_with_answers_and_errors_in_order() -> None:
    body = recording("API.getBulkRequest")["body"]
    server = always((200, "application/json", json.dumps(body).encode()))
    with reports(server) as asking:
        first, version, site, plugin = asking.ask_all([VISITS] * 4)
    assert [first, version] == body[:2]
    assert type(site) is type(plugin) is ReportRefused
    assert site.said == "An unexpected website was found in the request: website id was set to '99' ."
    assert "Settings > Plugins" in plugin.said
    told(plugin)
    assert len(server.asked) == 1
    with reports(web_replay()) as asking:
        assert asking.ask_all([]) == []


def test_a_bulk_is_cut_by_number_and_keeps_the_order() -> None:
    def one(method: str, params: Mapping[str, str]) -> Any:
        return [{"label": params["date"]}] if method == "Actions.getPageUrls" else None

    asked = [Question("Actions.getPageUrls", {"period": "day", "date": str(number)}) for number in range(65)]
    server = web_replay(one)
    with reports(server) as asking:
        answers = asking.ask_all(asked, at_once=30)
    assert answers == [[{"label": str(number)}] for number in range(65)]
    assert server.methods() == [BULK] * 3
    assert {params["idSite"] for _, params in questions(server)} == {"2"}
    assert not any("urls" in address or TOKEN in address for address in server.addresses)


def test_a_bulk_that_uses_up_the_memory_is_cut_in_halves() -> None:
    spent = verbatim("server.memory-exhausted")

    def answer(method: str, params: dict[str, str]) -> Answer:
        urls = [value for key, value in params.items() if key.startswith("urls")]
        if len(urls) > 2 or any("date=3" in url for url in urls):
            return spent
        return 200, "application/json", json.dumps([{"asked": url[-1]} for url in urls]).encode()

    server = Replay(instead=answer)
    with reports(server) as asking:
        answers = asking.ask_all([Question("X.get", {"date": str(number)}) for number in range(8)])
    assert isinstance(answers[3], PageTooLarge)
    assert [answer["asked"] for answer in answers if isinstance(answer, dict)] == list("0124567")


def test_a_bulk_that_is_not_answered_in_time_is_not_asked_in_parts() -> None:
    held = threading.Event()

    def answer(method: str, params: dict[str, str]) -> Answer:
        held.wait(5)
        return 200, "application/json", b"[]"

    server = Replay(instead=answer)
    with reports(server, read_timeout=0.2) as asking:
        with pytest.raises(SourceTimedOut) as error:
            asking.ask_all([VISITS] * 4)
        held.set()
    told(error.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("error.unknown-module", "Settings > Plugins"), ("error.unknown-method", "nope"), ("error.invalid-period", "")],
)
def test_a_refusal_in_words_keeps_them(name: str, words: str) -> None:
    with reports(always(verbatim(name))) as asking, pytest.raises(ReportRefused) as error:
        asking.ask(VISITS)
    assert words in error.value.said
    assert "&" not in error.value.said
    told(error.value)


def refusing(sites: Answer) -> Callable[[str, dict[str, str]], Answer | None]:
    refusal = verbatim("error.no-access-to-site")
    return lambda method, params: sites if "getSitesId" in method else refusal


def test_a_401_is_told_apart_by_one_more_question() -> None:
    for sites, expected in (
        (verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.bad-token"), CredentialsRefused),
        (verbatim("diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.viewer"), AccessRefused),
    ):
        server = Replay(instead=refusing(sites))
        with reports(server) as asking, pytest.raises(expected) as error:
            asking.ask_all([VISITS])
        told(error.value)
        assert len(server.asked) == 2


@pytest.mark.parametrize("body", [b"[]", b"{}", b"[1]", b'"text"', b"null", b"[[], [], []]"])
def test_a_bulk_with_another_number_of_answers_is_not_understood(body: bytes) -> None:
    with reports(always((200, "application/json", body))) as asking, pytest.raises(AnswerNotUnderstood) as error:
        asking.ask_all([VISITS] * 2)
    told(error.value)


@pytest.mark.parametrize("body", [{"a": 1}, [1], "x", [{"name": "without a number"}]])
def test_goals_in_another_shape_are_not_understood(body: Any) -> None:
    server = web_replay(lambda method, params: body if method == "Goals.getGoals" else None)
    with reports(server) as asking, pytest.raises(AnswerNotUnderstood):
        asking.goals()


MULTI = ["VisitsSummary.get.day-multi", "VisitsSummary.get.week-multi", "VisitsSummary.get.month-multi",
         "Goals.get.day-multi-empty", "Actions.getPageUrls.flat-multi"]  # fmt: skip


@pytest.mark.parametrize("name", MULTI)
def test_recorded_answers_for_several_periods_are_kept_by_their_labels(name: str) -> None:
    taken = recording(name)
    params = taken["request"]["params"]
    assert by_period(taken["body"], params["period"], params["date"]) == taken["body"]


def test_an_answer_for_one_period_is_labelled_by_what_was_asked() -> None:
    body = recording("VisitsSummary.get.day")["body"]
    assert by_period(body, "day", "2026-11-18") == {"2026-11-18": body}
    assert by_period(body, "range", "2026-11-11,2026-11-20") == {"2026-11-11,2026-11-20": body}
    assert by_period([], "day", "last7") == {}
    for odd in ([1], body, "x"):
        with pytest.raises(AnswerNotUnderstood):
            by_period(odd, "day", "last7")


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(Json, st.sampled_from(["2026-11-18", "last7", "2026-11-01,2026-11-02", "today"]))
def test_any_answer_is_read_or_refused(answer: Any, date: str) -> None:
    readers: list[Callable[[Any], Any]] = [rows_in, figures_in]
    for read in readers:
        found = read(answer)
        assert found is None or isinstance(found, list | dict)
    rows = rows_in(answer)
    assert rows is None or all(isinstance(row, dict) for row in rows)
    with suppress(AnswerNotUnderstood):
        assert isinstance(by_period(answer, "day", date), dict)
