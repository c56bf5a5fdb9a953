"""Web reports from the wire to the marts: recorded answers row by row, history in bounds, kills, zeros, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from matokit_pipelines.cli.checkup import check_up
from matokit_pipelines.cli.main import app
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import AnswerNotUnderstood, CredentialsRefused, SettingsError, SourceUnavailable
from matokit_pipelines.sources.matomo_reports import REPORTS
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.passes import PassResult
from matokit_pipelines.warehouse.probe import probe
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.web_facts import is_due, web_facts
from tests.replay import TOKEN, Replay, recording, rows_of, utc, verbatim
from tests.web_replay import BULK, NO_VISITS, body_of, questions, web_home, web_replay

pytestmark = pytest.mark.slow

NOW = utc(2026, 11, 20, 12)
DAY = date(2026, 11, 19)
FEW = "[web_reports]\ndays = 3\nweeks = 1\nmonths = 1"
Body = Callable[[str, Mapping[str, str]], Any]


def extracted(home: Home) -> PassResult:
    [result] = refresh.extract(home)
    assert result.what == "web reports"
    return result


def states(home: Home) -> dict[tuple[str, date], tuple[str, int | None, int]]:
    found = rows_of(home, "select period, period_start, state, visits, reports from ledger.web_periods")
    return {(period, start): (state, visits, reports) for period, start, state, visits, reports in found}


def mart(home: Home, table: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Rows of a mart of one day, in order."""
    day = f"period = 'day' and period_start = '{DAY}'"
    return rows_of(home, f"select {columns} from marts.{table} where {day} and {where} order by all")


def every_mart(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all web marts, by table."""
    tables = {report.table for report in REPORTS.values()} | {"web_sites", "web_periods"}
    return {table: rows_of(home, f"from marts.{table} order by all") for table in sorted(tables)}


def number(sent: Any) -> float | None:
    return None if sent is None else float(sent)


def asked(server: Replay, method: str) -> list[dict[str, str]]:
    return [params for name, params in questions(server) if name == method]


# -- rows -------------------------------------------------------------------------------------------------------------

PAGES = ("nb_hits", "nb_visits", "nb_uniq_visitors", "sum_time_spent")
ENTRIES = ("nb_visits", "nb_hits", "entry_nb_visits", "entry_bounce_count", "avg_page_load_time")
EVENTS = ("nb_events", "nb_visits", "sum_event_value", "nb_events_with_value", "min_event_value", "avg_event_value")
FIGURES: list[tuple[str, str, tuple[str, ...]]] = [
    ("page_urls", "true", PAGES),
    ("entry_pages", "true", ENTRIES),
    ("referrer_types", "true", ("nb_visits", "nb_actions", "nb_visits_converted", "sum_visit_length", "bounce_count")),
    ("referrers", "true", ("nb_visits", "nb_actions", "nb_visits_converted", "bounce_count")),
    ("campaigns", "true", ("nb_visits", "nb_actions", "nb_visits_converted", "revenue")),
    ("device_types", "true", ("nb_visits", "nb_actions", "sum_visit_length", "max_actions")),
    ("event_categories", "true", EVENTS),
    ("events_action_name", "pair = 'action_name'", EVENTS),
    ("events_category_name", "pair = 'category_name'", EVENTS),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Replay]:
    """The recorded shop, read once and published."""
    with web_replay().serving() as server:
        home = web_home(tmp_path_factory.mktemp("shop"), server.url, now=NOW, settings=FEW)
        assert extracted(home).error is None
        refresh.build_and_publish(home)
    return home, server


@pytest.mark.parametrize(("name", "where", "figures"), FIGURES)
def test_recorded_rows_are_in_the_marts_in_matomos_order(
    shop: tuple[Home, Replay], name: str, where: str, figures: tuple[str, ...]
) -> None:
    report = REPORTS[name]
    sent = body_of(report.method, report.params)
    expected = [
        (place, str(row["label"]), *(number(row.get(key)) for key in figures)) for place, row in enumerate(sent, 1)
    ]
    assert mart(shop[0], report.table, f"position, label, {', '.join(figures)}", where) == expected
    assert expected


def test_what_has_no_column_is_kept_in_its_order(shop: tuple[Home, Replay]) -> None:
    sent = body_of("Actions.getPageUrls", {})
    named = {"label", "url", "nb_hits", "nb_visits", "nb_uniq_visitors", "sum_time_spent", "bounce_count"}
    for place, further, url in mart(shop[0], "web_page_urls", "position, further, url"):
        row = sent[place - 1]
        assert list(json.loads(further).items()) == [(key, value) for key, value in row.items() if key not in named]
        assert url == row["url"]


def test_recorded_figures_are_in_the_marts(shop: tuple[Home, Replay]) -> None:
    home, _ = shop
    visits = body_of("VisitsSummary.get", {})
    columns = [key for key in visits if key != "bounce_rate"]
    [row] = mart(home, "web_visits", f"{', '.join(columns)}, bounce_rate, further, state")
    assert row == (*(float(visits[key]) for key in columns), "37%", "{}", "final")
    [(views, unique, further)] = mart(home, "web_actions", "nb_pageviews, nb_uniq_pageviews, further")
    assert (views, unique, json.loads(further)["nb_searches"]) == (168, 152, 10)
    orders = recording("Goals.get.ecommerceOrder")["body"]
    kept = ("nb_conversions", "revenue", "items", "revenue_tax", "avg_order_revenue")
    [(rate, *found)] = mart(home, "web_ecommerce", f"conversion_rate, {', '.join(kept)}")
    assert (rate, found) == ("7.54%", [orders[key] for key in kept])
    assert mart(home, "web_goals", "goal_id, label, type, nb_conversions, revenue") == [
        ("1", "Newsletter sign-up", "url", 69, 345),
        ("2", "Contact form", "event_action", 0, 0),
        ("ecommerceAbandonedCart", "Abandoned Cart", "ecommerce", 40, 17811.55),
        ("ecommerceOrder", "Ecommerce Order", "ecommerce", 64, 34335.78),
    ]


def test_the_site_and_its_periods_are_told(shop: tuple[Home, Replay]) -> None:
    home, server = shop
    [site] = rows_of(home, "select * from marts.web_sites")
    first, last = date(2026, 10, 1), DAY
    assert site == ("shop", "2", "Example shop", server.url, "UTC", "EUR", True, first, last, NOW)
    assert states(home) == {
        ("day", date(2026, 11, 20)): ("provisional", 81, 16),
        ("day", date(2026, 11, 19)): ("final", 81, 16),
        ("day", date(2026, 11, 18)): ("final", 81, 16),
        ("week", date(2026, 11, 16)): ("provisional", 81, 16),
        ("month", date(2026, 11, 1)): ("provisional", 81, 16),
    }


def test_the_token_is_in_no_address_and_rows_are_limited_by_the_server(shop: tuple[Home, Replay]) -> None:
    _, server = shop
    assert server.tokens == {TOKEN}
    assert not any(TOKEN in address or "urls" in address for address in server.addresses)
    assert {params["filter_limit"] for params in asked(server, "Actions.getPageUrls")} == {"250"}
    assert {params["idSite"] for _, params in questions(server) if "period" in params} == {"2"}


def test_only_so_many_rows_are_kept_even_of_a_server_that_gives_more(tmp_path: Path) -> None:
    many = [{"label": f"/{number}", "nb_hits": number} for number in range(30)]
    with web_replay(lambda method, params: many if method == "Actions.getPageUrls" else None).serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=f"{FEW}\nrows = 10")
        extracted(home)
    kept = "select distinct rows, json_array_length(body) from raw.web_reports where report = 'page_urls'"
    assert rows_of(home, kept) == [(10, 10)]


# -- history ----------------------------------------------------------------------------------------------------------


def test_history_is_read_newest_first_in_bounds_and_then_rests(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    with web_replay().serving() as server:
        home = web_home(tmp_path, server.url, now=clock, settings="[web_reports]\nfirst_time_periods = 12\nrows = 10")
        known: set[tuple[str, date]] = set()
        passes = 0
        while probe(home).reason != "No source holds anything new.":
            result = extracted(home)
            now = set(states(home))
            assert len(now - known) <= 12
            days = sorted(start for period, start in now if period == "day")
            assert days == [days[0] + timedelta(days=n) for n in range(len(days))]  # without a hole
            refresh.build_and_publish(home)
            known, passes = now, passes + 1
            assert result.error is None
        # 51 days, 8 weeks and 2 months since the site is there
        assert len(known) == 51 + 8 + 2
        assert passes == 6
        before = len(server.asked)
        assert extracted(home).requests == 0
        assert len(server.asked) == before
        # months and weeks that the server may have to count are asked for one at a time, by one question
        alone = [params["period"] for method, params in server.asked if method == "VisitsSummary.get"]
        assert sorted(alone) == ["month"] * 2 + ["week"] * 8
        clock.advance(timedelta(minutes=60))
        assert probe(home).reason == "Web reports of source shop are due."
        assert extracted(home).windows == 3


def test_a_pass_that_is_killed_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    reached, release = threading.Event(), threading.Event()

    def hold(method: str, params: Mapping[str, str]) -> Any:
        if method == "Actions.get" and params["date"] == "2026-11-15":
            reached.set()
            release.wait(30)
        return None

    script = (
        "import sys; from pathlib import Path; from tests.replay import utc; from tests.web_replay import web_home; "
        "from matokit_pipelines.warehouse import refresh; "
        "refresh.extract(web_home(Path(sys.argv[1]), sys.argv[2], now=utc(2026, 11, 20, 12)))"
    )
    with web_replay(hold).serving() as server:
        command = [sys.executable, "-c", script, str(tmp_path), server.url]
        running = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        assert reached.wait(60)
        running.kill()
        running.wait(10)
        release.set()
        home = web_home(tmp_path, server.url, now=NOW)
        landed = states(home)
        assert date(2026, 11, 16) in {start for _, start in landed}
        assert ("day", date(2026, 11, 15)) not in landed
        server.asked.clear()
        assert extracted(home).error is None
    again = {(params["period"], params["date"]) for params in asked(server, "Actions.get")}
    assert ("day", "2026-11-15") in again
    assert not {("day", "2026-11-19"), ("day", "2026-11-16")} & again
    whole = rows_of(
        home, "select period, period_start, count(*) from raw.web_reports group by all having count(*) <> 16"
    )
    assert not whole


def test_days_that_are_asked_for_are_read_again_with_their_week_and_month(tmp_path: Path) -> None:
    with web_replay().serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=FEW)
        extracted(home)
        server.asked.clear()
        refresh.extract(home, days=(date(2026, 11, 18), date(2026, 11, 18)))
    assert {(params["period"], params["date"]) for params in asked(server, "Actions.get")} == {
        ("day", "2026-11-18"), ("week", "2026-11-16"), ("month", "2026-11-01"),
    }  # fmt: skip


def test_periods_beyond_the_settings_are_put_away_also_from_the_marts(tmp_path: Path) -> None:
    with web_replay().serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=FEW)
        extracted(home)
        refresh.build_and_publish(home)
        less = web_home(tmp_path, server.url, now=NOW, settings="[web_reports]\ndays = 1\nweeks = 0\nmonths = 1")
        assert probe(less).is_due
        extracted(less)
        built = refresh.build_and_publish(less)
    assert set(states(less)) == {("day", date(2026, 11, 20)), ("month", date(2026, 11, 1))}
    assert built.manifest
    assert built.manifest.rows["web_visits"] == built.manifest.rows["web_periods"] == 2


def test_a_build_derives_and_publishes_only_when_something_was_landed(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    with web_replay().serving() as server:
        home = web_home(tmp_path, server.url, now=clock, settings=FEW)
        extracted(home)
        assert probe(home).reason == "Web reports were landed and not derived yet."
        assert refresh.build_and_publish(home).manifest
        again = refresh.build_and_publish(home)
        assert (again.manifest, again.result.changed) == (None, False)
        clock.advance(timedelta(hours=1))
        extracted(home)
        hourly = refresh.build_and_publish(home)
    assert hourly.manifest
    assert hourly.result.rows["marts.web_visits"] == 3  # the running periods, nothing else
    before = every_mart(home)
    refresh.derive(home, full=True)
    assert every_mart(home) == before
    as_of = rows_of(home, "select period_start, as_of from marts.web_visits where period = 'day' order by 1")
    assert [at for _, at in as_of] == [NOW, NOW, NOW + timedelta(hours=1)]


# -- zeros ------------------------------------------------------------------------------------------------------------


def zeros(log: Any, archived: Callable[[], bool] = lambda: False) -> Body:
    """No visits in any report of a past period until `archived`; `log` is what the visit log answers."""
    nothing = {"VisitsSummary.get": recording(NO_VISITS)["body"]}

    def body(method: str, params: Mapping[str, str]) -> Any:
        if method == "Live.getLastVisitsDetails":
            return log
        return nothing.get(method) if not archived() else None

    return body


def test_zeros_that_nothing_proves_are_unknown_until_the_server_has_counted(tmp_path: Path) -> None:
    clock, is_archived = FixedClock(NOW), False
    visit = [{"idVisit": 1, "lastActionTimestamp": NOW.timestamp()}]
    with web_replay(zeros(visit, lambda: is_archived)).serving() as server:
        home = web_home(tmp_path, server.url, now=clock, settings=FEW)
        extracted(home)
        refresh.build_and_publish(home)
        unknown = ("unknown", None, 0)
        assert states(home) == {
            ("day", date(2026, 11, 20)): ("provisional", 0, 16),
            ("day", date(2026, 11, 19)): unknown,
            ("day", date(2026, 11, 18)): unknown,
            ("week", date(2026, 11, 16)): unknown,
            ("month", date(2026, 11, 1)): unknown,
        }
        assert not mart(home, "web_visits", "nb_visits")
        assert mart(home, "web_periods", "state, reports") == [("unknown", 0)]
        settings = home.loaded.settings
        with home.warehouse.reader() as connection:
            [facts] = web_facts(connection, settings.sources, settings.web_reports, clock.now())
        assert (facts.unknown, facts.oldest_unknown, facts.last_complete_day) == (4, date(2026, 11, 1), None)
        is_archived = True
        clock.advance(timedelta(hours=1))
        assert probe(home).is_due
        extracted(home)
        refresh.build_and_publish(home)
    assert states(home)["day", DAY] == ("final", 81, 16)
    assert "unknown" not in {state for state, _, _ in states(home).values()}
    assert mart(home, "web_visits", "nb_visits") == [(81,)]


def test_zeros_are_zeros_where_the_visit_log_is_empty_too(tmp_path: Path) -> None:
    with web_replay(zeros([])).serving() as server:
        home = web_home(
            tmp_path, server.url, now=NOW, settings="[web_reports]\ndays = 60\nmonths = 2\nfirst_time_periods = 90"
        )
        extracted(home)
        refresh.build_and_publish(home)
        days = {key: worth for key, worth in states(home).items() if key[0] == "day" and key[1] < NOW.date()}
    assert set(days.values()) == {("final", 0, 16)}
    assert states(home)["week", date(2026, 11, 9)] == ("final", 0, 16)
    assert states(home)["month", date(2026, 10, 1)] == ("final", 0, 16)
    assert mart(home, "web_visits", "nb_visits, state") == [(0, "final")]
    assert mart(home, "web_goals", "count(*)") == [(4,)]


def test_a_switched_off_visit_log_proves_nothing(tmp_path: Path) -> None:
    with web_replay(zeros(recording("disabled.visitor-log")["body"])).serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=FEW)
        assert extracted(home).error is None
    assert states(home)["day", DAY] == ("unknown", None, 0)


def test_an_empty_log_proves_nothing_of_days_that_may_have_been_purged(tmp_path: Path) -> None:
    with web_replay(zeros([])).serving() as server:
        home = web_home(
            tmp_path, server.url, now=NOW, settings="[web_reports]\ndays = 10\nweeks = 0\nmonths = 0",
            source='provides = ["web_reports"]\nretention_days = 4',
        )  # fmt: skip
        extracted(home)
    found = {start: state for (_, start), (state, _, _) in states(home).items()}
    assert found[date(2026, 11, 16)] == "final"
    assert found[date(2026, 11, 15)] == "unknown"


def test_a_doubtful_zero_never_replaces_figures(tmp_path: Path) -> None:
    clock, is_gone = FixedClock(NOW), False
    visit = [{"idVisit": 1, "lastActionTimestamp": NOW.timestamp()}]
    with web_replay(zeros(visit, lambda: not is_gone)).serving() as server:
        home = web_home(tmp_path, server.url, now=clock, settings=FEW)
        extracted(home)
        is_gone = True
        clock.advance(timedelta(hours=1))
        extracted(home)
    assert states(home)["day", date(2026, 11, 20)] == ("provisional", 81, 16)
    assert rows_of(home, "select distinct fetched_at from raw.web_reports") == [(NOW,)]


# -- refusals ---------------------------------------------------------------------------------------------------------


def refusing(*methods: str, answer: Any = None) -> Body:
    said = answer or recording("error.unknown-module")["body"]
    return lambda method, params: said if method in methods else None


def test_a_report_that_a_matomo_lacks_is_noted_and_nothing_else_is_lost(tmp_path: Path) -> None:
    with web_replay(refusing("Events.getAction", "Goals.getGoals", "Events.getCategory")).serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=FEW)
        assert extracted(home).error is None
        refresh.build_and_publish(home)
    refused = dict(rows_of(home, "select report, said from ledger.web_refusals"))
    assert set(refused) == {"events_action_name", "events_category_action", "events_category_name", "event_categories"}
    assert refused["events_action_name"].startswith("The plugin Nope is not enabled.")
    assert states(home)["day", DAY] == ("final", 81, 10)
    assert mart(home, "web_page_urls", "count(*)") == [(10,)]
    assert mart(home, "web_event_categories", "count(*)") == [(0,)]


def test_a_site_without_ecommerce_is_not_asked_for_orders(tmp_path: Path) -> None:
    plain = recording("SitesManager.getSiteFromId.ecommerce")["body"] | {"ecommerce": 0}
    with web_replay(lambda method, params: plain if "getSiteFromId" in method else None).serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=FEW)
        extracted(home)
    assert {params.get("idGoal") for params in asked(server, "Goals.get")} == {"1", "2"}
    assert states(home)["day", DAY] == ("final", 81, 14)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"result": "error", "message": "SQLSTATE[HY000] [2002] Connection refused"}, SourceUnavailable),
        ({"something": "else"}, AnswerNotUnderstood),
        ("text", AnswerNotUnderstood),
    ],
)
def test_a_broken_answer_ends_the_pass_and_lands_nothing_of_its_period(
    tmp_path: Path, answer: Any, error: type[Exception]
) -> None:
    def body(method: str, params: Mapping[str, str]) -> Any:
        return answer if method == "VisitsSummary.get" and params["date"] == "2026-11-18" else None

    with web_replay(body).serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=FEW)
        result = extracted(home)
    assert type(result.error) is error
    assert str(result.error).endswith(".")
    assert TOKEN not in str(result.error)
    assert ("day", date(2026, 11, 18)) not in states(home)
    assert states(home)["day", DAY] == ("final", 81, 16)


def test_a_refused_token_is_not_tried_again_and_a_new_one_is(tmp_path: Path) -> None:
    bad = verbatim("error.bad-token.post-token-query-params")
    server = Replay(instead=lambda method, params: bad)
    with server.serving():
        home = web_home(tmp_path, server.url, now=NOW)
        assert type(extracted(home).error) is CredentialsRefused
        tried = len(server.asked)
        assert tried == 2
        assert type(extracted(home).error) is CredentialsRefused
        assert len(server.asked) == tried
        with home.warehouse.reader() as connection:
            source, kept = home.loaded.settings.sources[0], home.loaded.settings.web_reports
            assert not is_due(connection, source, kept, home.clock)
        other = web_home(tmp_path, server.url, now=NOW, token="f" * 32)
        extracted(other)
        assert len(server.asked) == tried + 2


@pytest.mark.parametrize(("key", "value"), [("timezone", "Europe/Copenhagen"), ("site", "3")])
def test_another_zone_or_site_under_a_known_name_is_refused(tmp_path: Path, key: str, value: str) -> None:
    facts = recording("SitesManager.getSiteFromId.ecommerce")["body"]
    with web_replay(lambda method, params: facts if "getSiteFromId" in method else None).serving() as server:
        home = web_home(tmp_path, server.url, now=NOW, settings=FEW)
        extracted(home)
        facts = facts | {key: value}
        moved = web_home(tmp_path, server.url, now=NOW + timedelta(hours=2), site=value if key == "site" else "2")
        result = extracted(moved)
    assert type(result.error) is SettingsError
    assert "shop" in str(result.error)
    assert set(states(home).values()) == {("final", 81, 16), ("provisional", 81, 16)}


def test_status_and_doctor_tell_of_reports(
    shop: tuple[Home, Replay], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = shop
    monkeypatch.chdir(home.loaded.home.parent)
    monkeypatch.setenv("MATOKIT_SHOP_TOKEN", TOKEN)
    told = CliRunner().invoke(app, ["status"]).stdout
    assert "shop: web reports complete to 2026-11-19, 5 periods read." in told
    assert "No source was read yet" not in told
    [row] = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert (row["source"], row["what"], row["unknown"], row["last_complete_day"]) == (
        "shop", "web reports", 0, "2026-11-19",
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with web_replay().serving() as server:
        checked = [finding.sentence for finding in check_up(web_home(tmp_path, server.url, now=NOW))]
    assert "web reports can be read: 2 goals, with ecommerce" in checked
    assert not any("dimension" in sentence for sentence in checked)


def test_a_source_of_reports_only_has_no_part_in_what_is_known_of_events(shop: tuple[Home, Replay]) -> None:
    home, server = shop
    assert rows_of(home, "select watermark from ledger.product_watermark") == [(None,)]
    assert rows_of(home, "select count(*) from ledger.sources") == [(0,)]
    assert rows_of(home, "select count(*) from marts.extraction_status") == [(0,)]
    assert not {"CustomDimensions.getConfiguredCustomDimensions", "Live.getMostRecentVisitsDateTime"} & set(
        server.methods()
    )
    assert BULK in server.methods()
