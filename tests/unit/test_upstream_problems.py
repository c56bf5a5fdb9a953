"""Every error there is, as a caller is told of it: category, status, guidance, no secret and no path."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines import errors
from matokit_pipelines.errors import (
    AccessRefused,
    AnswerNotUnderstood,
    AnswerUnreadable,
    CheckFailed,
    CredentialsRefused,
    DataIncomplete,
    DiskFull,
    LockedOut,
    MatokitError,
    NothingAllowed,
    NothingPublished,
    PageTooLarge,
    ReportRefused,
    RequestsSpent,
    ServicesError,
    SettingsError,
    SnapshotDamaged,
    SourceAnswered,
    SourceBusy,
    SourceError,
    SourceMissing,
    SourceTimedOut,
    SourceUnavailable,
    SourceUnreachable,
    StateError,
    WarehouseDamaged,
    WarehouseError,
    WarehouseLocked,
)
from matokit_pipelines.toolserver.problems import GUIDANCE, STATUS
from matokit_pipelines.toolserver.sites import Connection, Site
from matokit_pipelines.toolserver.upstream import problem_of

SECRET = "0123456789abcdef0123456789abcdef"
HOME = "/srv/somebody/.matokit"
SITE = Site(
    "5", "Shop", None, Connection("shop", "https://matomo.example.org", "MATOKIT_SHOP_TOKEN", lambda: SECRET)
)  # fmt: skip
SENTENCE = f"Source shop could not be read from matomo.example.org: the file {HOME} is gone"

TABLE = {
    MatokitError: ("unknown", 500),
    SettingsError: ("auth", 502),
    SourceError: ("network", 502),
    CredentialsRefused: ("auth", 502),
    AccessRefused: ("permission", 403),
    NothingAllowed: ("permission", 403),
    LockedOut: ("auth", 503),
    SourceMissing: ("client", 400),
    SourceUnavailable: ("server", 502),
    SourceUnreachable: ("network", 502),
    AnswerUnreadable: ("parse", 502),
    SourceBusy: ("rate-limit", 503),
    RequestsSpent: ("rate-limit", 503),
    PageTooLarge: ("server", 502),
    SourceTimedOut: ("network", 504),
    AnswerNotUnderstood: ("parse", 502),
    SourceAnswered: ("server", 502),
    ReportRefused: ("client", 400),
    WarehouseError: ("server", 503),
    WarehouseLocked: ("server", 503),
    WarehouseDamaged: ("server", 503),
    DiskFull: ("server", 503),
    NothingPublished: ("server", 503),
    SnapshotDamaged: ("server", 503),
    ServicesError: ("unknown", 500),
    StateError: ("server", 503),
    DataIncomplete: ("unknown", 500),
    CheckFailed: ("unknown", 500),
}


def made(kind: type[MatokitError]) -> MatokitError:
    """One of a class, as the rest of the code makes it."""
    if kind is SourceAnswered:
        return SourceAnswered(f"{SENTENCE}; do this.", 500)
    return kind(f"{SENTENCE}; do this.")


def every_class() -> list[type[MatokitError]]:
    """All errors of the package; a new one has to be in the table."""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MatokitError)]
    assert set(found) == set(TABLE)
    return found


@pytest.mark.parametrize("kind", every_class())
@pytest.mark.parametrize("site", [None, SITE])
def test_every_error_class(kind: type[MatokitError], site: Site | None) -> None:
    problem = problem_of(made(kind), site=site)
    assert (problem.category, problem.status) == TABLE[kind]
    assert problem.message.endswith(".")
    assert problem.guidance.endswith((".", ")."))
    assert "do this" not in problem.message
    body = json.dumps(problem.body())
    assert SECRET not in body
    if not issubclass(kind, SourceError):
        assert HOME not in body
    if problem.status == 503:
        assert problem.retry_after is not None
        assert problem.retry_after > 0


def test_a_site_is_named_once() -> None:
    unnamed = replace(SITE, id="99", name="site 99")
    assert problem_of(AccessRefused(""), site=unnamed).message == "The token that matokit has may not view site 99."
    assert problem_of(CredentialsRefused(""), site=unnamed).message.endswith(" matokit has for site 99.")
    assert problem_of(AccessRefused(""), site=SITE).message.endswith(" site 5 (Shop).")


def test_every_category_has_guidance_and_a_status() -> None:
    assert set(GUIDANCE) == set(STATUS)
    assert all(text.endswith(".") and len(text) > 20 for text in GUIDANCE.values())


RECORDED = Path(__file__).parents[1] / "fixtures" / "matomo"
BY_RECORDING = {
    "error.unknown-site": ("client", "siteId"),
    "error.invalid-period": ("client", "period: day, week"),
    "error.invalid-date": ("client", "date: YYYY-MM-DD"),
    "error.reversed-range": ("client", "date: YYYY-MM-DD"),
    "error.date-missing": ("client", "date: YYYY-MM-DD"),
    "error.segment-unknown-dimension": ("client", "segment"),
    "error.invalid-segment": ("client", "segment"),
    "error.unknown-method": ("client", "enable its plugin"),
    "error.unknown-module": ("client", "enable its plugin"),
    "error.no-access-to-site": ("permission", "view access"),
    "error.bad-token.post-token-query-params": ("auth", "MATOKIT_SHOP_TOKEN"),
}


@pytest.mark.parametrize("name", BY_RECORDING)
def test_recorded_words_of_a_real_matomo(name: str) -> None:
    said = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))["body"]["message"]
    problem = problem_of(ReportRefused("refused.", said), site=SITE)
    category, guidance = BY_RECORDING[name]
    assert problem.category == category
    assert guidance in problem.guidance
    assert problem.message.startswith('Matomo refuses: "')


@pytest.mark.parametrize(
    ("code", "guidance"), [(101, "siteId"), (103, "YYYY-MM-DD"), (110, "segment"), (999, "Check the site, the period")]
)
def test_numbers_of_errors(code: int, guidance: str) -> None:
    problem = problem_of(ReportRefused("refused.", "Erreur inconnue", code))
    assert guidance in problem.guidance
    assert problem.body()["code"] == code


@pytest.mark.parametrize("said", ["Rate limit exceeded", "Too many requests, slow down"])
def test_a_rate_limit_in_words(said: str) -> None:
    problem = problem_of(ReportRefused("refused.", said))
    assert (problem.category, problem.status, problem.retry_after) == ("rate-limit", 503, 60.0)


@pytest.mark.parametrize(
    "said",
    [
        "The report could not be generated.",
        "Segment 'rate limit' is not a supported segment.",
        "Segment 'token' is not a supported segment.",
        "Segment 'access denied' is not a supported segment.",
        "Goal with a conversion rate is unknown",
    ],
)
def test_words_of_the_caller_do_not_decide(said: str) -> None:
    assert problem_of(ReportRefused("refused.", said)).category == "client"


@pytest.mark.parametrize(
    ("status", "category", "ours"), [(403, "permission", 403), (404, "client", 400), (500, "server", 502)]
)
def test_odd_statuses(status: int, category: str, ours: int) -> None:
    problem = problem_of(SourceAnswered("x; y.", status))
    assert (problem.category, problem.status) == (category, ours)


def test_retry_after_is_what_the_server_said() -> None:
    assert problem_of(SourceBusy("busy.", 7.0)).retry_after == 7.0
    assert "7 s" in problem_of(SourceBusy("busy.", 7.0)).guidance


@given(st.text(max_size=300))
def test_any_words_make_one_bounded_sentence(said: str) -> None:
    problem = problem_of(ReportRefused("refused.", said))
    assert "\n" not in problem.message
    assert len(problem.message) < 260
    assert problem.guidance
