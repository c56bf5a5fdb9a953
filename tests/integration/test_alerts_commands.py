"""`matokit alerts …` on a home with five weeks of simulated events and everything that was planted in them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.alert_settings import AllRules
from matokit_pipelines.cli import main
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.simulator import MatomoSimulator, Truth, generate
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract

pytestmark = pytest.mark.slow

NOW = datetime(2025, 11, 19, 12, tzinfo=UTC)  # a Wednesday; the commands go by the clock on the wall, much later
FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def truth() -> Truth:
    return generate(days=35, events_per_day=300, seed=5, end=NOW, eras=False)


@pytest.fixture(scope="module")
def folder(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings and a derived home; nothing was evaluated yet."""
    made = tmp_path_factory.mktemp("alerts")
    with MatomoSimulator(truth, now=lambda: NOW) as server:
        (made / "matokit.toml").write_text(
            f'[project]\ntimezone = "{truth.zone}"\n[[sources]]\nname = "installers"\nkind = "matomo"\n'
            f'url = "{server.url}"\nsite_id = "1"\nstart_date = {truth.start.date()}\n',
            encoding="utf-8",
        )
        home = Home.of(load(environ={"MATOKIT_INSTALLERS_TOKEN": server.token}, cwd=made), FixedClock(NOW))
        extract(home)
        build_and_publish(home)
    return made


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder as current one, with a store of its own."""
    for name in [name for name in os.environ if name.startswith(("MATOKIT_", "MATOMO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    yield folder
    for file in (folder / ".matokit").glob("state.sqlite*"):
        file.unlink()


def matokit(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """`(exit code, stdout, stderr)` of one command."""
    code = main.run(list(words))
    out, err = capfd.readouterr()
    return code, out, err


def planted(truth: Truth, kind: str) -> datetime:
    """When something planted began."""
    [incident] = [incident for incident in truth.incidents if incident.kind == kind]
    return incident.start


def test_what_fires_is_evaluated_listed_explained_and_silenced(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = matokit(capfd, "alerts", "list")
    assert (code, out.splitlines()[0]) == (0, "Nothing fires.")
    assert "Nothing was evaluated yet" in out
    code, out, err = matokit(capfd, "alerts", "evaluate", "--json")
    assert code == 0, err
    [report] = json.loads(out)
    assert report["ticks"] == 1
    assert report["started"] >= 1  # first tries have not made good for the outage yet

    code, out, _ = matokit(capfd, "alerts", "list", "--json")
    firing = {(row["rule"], row["subject"]): row for row in json.loads(out) if row["kind"] == "alert"}
    subject = next(subject for rule, subject in firing if rule == "slow_regression")
    assert firing["slow_regression", subject]["state"] == "firing"
    assert f"firing     slow_regression of {subject}: since " in matokit(capfd, "alerts", "list")[1]
    assert json.loads(matokit(capfd, "alerts", "history", "--rule", "slow_regression", "--json")[1])
    code, out, _ = matokit(capfd, "status")
    assert f"slow_regression of {subject} since" in out

    code, out, _ = matokit(capfd, "alerts", "why", "slow_regression", subject)
    assert f"slow_regression of {subject} held at" in out
    assert "It fires since" in out
    assert "It was told" in out
    assert "files: firing due" in out
    assert "by the rules of version" in out

    code, out, _ = matokit(
        capfd, "alerts", "silence", "--rule", "slow_*", "--until", "2h", "--reason", "known", "--json"
    )
    [made] = json.loads(out)
    assert (code, made["state"], made["rule"]) == (0, "active", "slow_*")
    assert "Silence 1: rule slow_*, until " in matokit(capfd, "alerts", "list")[1]
    assert matokit(capfd, "alerts", "unsilence", "1")[1].startswith("Silence 1 (rule slow_*) is over since ")
    assert matokit(capfd, "alerts", "unsilence", "9")[0] == 2


def test_why_evaluates_what_no_pass_did(here: Path, truth: Truth, capfd: pytest.CaptureFixture[str]) -> None:
    at = planted(truth, "outage") + timedelta(hours=2)
    code, out, err = matokit(capfd, "alerts", "why", "overall_success_rate", "--at", at.isoformat(), "--json")
    assert code == 0, err
    [row] = json.loads(out)
    assert (row["is_stored"], row["raw"], row["guarded"]) == (False, True, True)
    assert row["aftermath"] == ["No pass evaluated this time, so nothing came of it."]
    assert row["inputs"]["failures"] > 0
    for rule in AllRules.model_fields:
        code, out, err = matokit(capfd, "alerts", "why", rule, "--at", at.isoformat())
        assert (code, err) == (0, ""), rule
        assert rule in out
    code, out, _ = matokit(capfd, "alerts", "why", "new_failure_pattern", "no_such_component")
    assert (code, "was not judged at" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["why", "new_failure_patern"], 'There is no rule "new_failure_patern"; did you mean "new_failure_pattern"?\n'),
        (["why", "arch_gap", "--at", "soon"], '"soon" is no time; write 2026-11-20T08:30'),
        (["why", "arch_gap", "--at", "2199-01-01T00:00"], "--at 2199-01-01T00:00 is in the future"),
        (["silence", "--until", "2h", "--reason", "x"], "Say what is to be silent"),
        (["silence", "--rule", "nonsense", "--until", "2h", "--reason", "x"], 'There is no rule "nonsense"'),
        (["backtest", "--from", "2026-11-20", "--to", "2026-11-01"], "--from 2026-11-20 is not before --to 2026-11-01"),
        (["backtest", "--from", "2001-01-01", "--to", "2001-02-01"], "Nothing is known of this period"),
        (["backtest", "--from", "x", "--to", "2001-02-01"], '"x" is not a day'),
        (
            ["backtest", "--from", "2025-11-01", "--to", "2025-11-02", "--rule", "data_stale"],
            "data_stale goes by the clock",
        ),
        (
            ["backtest", "--from", "2025-11-01", "--to", "2025-11-02", "--rule", "arch_gap", "--set", "enabled=false"],
            "Alerts are switched off; add --set enabled=true to try them.",
        ),
        (
            [
                "backtest",
                "--from",
                "2025-11-01",
                "--to",
                "2025-11-02",
                "--rule",
                "arch_gap",
                "--set",
                "rules.arch_gap.enabled=false",
            ],
            "arch_gap is switched off; add --set rules.arch_gap.enabled=true to try it.",
        ),
        (["test", "nowhere.json"], "The cases nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    here: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, out, err = matokit(capfd, "alerts", *words)
    assert (code, out) == (2, "")
    assert err.startswith(said)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("guards.alpha=1", '--set: "guards.alpha" is no setting of the alerts; did you mean "guard"?'),
        ("gap_points=7", '--set: "gap_points" is no setting of the alerts; "rules.arch_gap.gap_points" is one.'),
        ("arch_gap.gap_points=700", "--set: rules.arch_gap.gap_points: input should be less than 100."),
        ("rules.arch_gap=1", '--set: "rules.arch_gap" is a group of settings; name one of'),
        ("rules.arch_gap.points=1", '--set: "rules.arch_gap.points" is no setting of the alerts; there are'),
        ("alpha", '"alpha" changes no setting; write --set guard.alpha=0.01.'),
    ],
)
def test_settings_to_try_are_checked(here: Path, capfd: pytest.CaptureFixture[str], change: str, said: str) -> None:
    code, _, err = matokit(capfd, "alerts", "backtest", "--from", "2026-01-01", "--to", "2026-02-01", "--set", change)
    assert code == 2
    assert err.startswith(said)


def test_the_back_test_finds_what_was_planted_and_holds_back_what_chance_explains(
    here: Path, truth: Truth, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = (NOW - timedelta(days=21)).date()
    period = ["--from", str(first), "--to", str(NOW.date())]
    page = tmp_path / "deep" / "page.html"
    code, out, err = matokit(capfd, "alerts", "backtest", *period, "--json", "--out", str(page))
    assert (code, err) == (0, "")
    rows = {row["rule"]: row for row in json.loads(out)}
    assert set(rows) == {*AllRules.model_fields} - {"data_stale"}
    outage = planted(truth, "outage")
    found = [
        alert
        for alert in rows["overall_success_rate"]["guarded_alerts"]
        if outage <= datetime.fromisoformat(alert["started_at"]) <= outage + timedelta(hours=6)
    ]
    assert found
    assert rows["new_failure_pattern"]["raw_starts"] > 3 * rows["new_failure_pattern"]["guarded_starts"]
    for row in rows.values():
        assert row["raw_starts"] >= row["guarded_starts"] or row["rule"] == "slow_regression"
        assert row["raw_episodes"] == len(row["raw_alerts"])
        assert row["guarded_hours"] <= row["raw_hours"] + 0.01
    assert "<svg" in page.read_text(encoding="utf-8")

    code, out, _ = matokit(capfd, "alerts", "backtest", *period)
    assert code == 0
    assert f"{rows['overall_success_rate']['guarded_starts']:,}" in out
    assert " alerts by the thresholds alone, " in out
    assert "is known and was evaluated." in out  # the day goes on


def test_another_setting_changes_what_the_back_test_finds(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    period = ["--from", str((NOW - timedelta(days=14)).date()), "--to", str((NOW - timedelta(days=1)).date())]
    starts = {}
    for alpha in ("1e-9", "0.2"):
        rule = ["--rule", "new_failure_pattern", "--set", f"guard.alpha={alpha}"]
        [row] = json.loads(matokit(capfd, "alerts", "backtest", *period, *rule, "--json")[1])
        starts[alpha] = row["guarded_starts"]
        raw = row["raw_starts"]
    assert starts["1e-9"] < starts["0.2"] <= raw
    off = ["--rule", "new_failure_pattern", "--set", "guard.enabled=false"]
    [row] = json.loads(matokit(capfd, "alerts", "backtest", *period, *off, "--json")[1])
    assert row["guarded_starts"] == row["raw_starts"] == raw


def test_the_back_test_starts_what_the_passes_of_those_days_would_have(
    here: Path, truth: Truth, capfd: pytest.CaptureFixture[str]
) -> None:
    """One evaluator: episodes of a back-test are those that passes found, evaluation by evaluation."""
    from matokit_pipelines.alerts.evaluator import Evaluator
    from matokit_pipelines.alerts.lifecycle import grid_between
    from matokit_pipelines.warehouse.event_log import WarehouseLog

    loaded = load(environ={}, cwd=here)
    start = planted(truth, "outage") - timedelta(hours=6)
    start -= timedelta(minutes=start.minute % 5, seconds=start.second)
    end = start + timedelta(hours=18)
    rules = ["overall_success_rate", "high_volume_failures", "new_failure_pattern"]
    live = Evaluator(
        loaded.settings.alerts, zone=loaded.settings.project.zone, only=rules, evaluated_to=start - timedelta(days=1)
    )
    with Home.of(loaded, FixedClock(NOW)).warehouse.reader() as connection:
        log = WarehouseLog(connection)
        found = {}
        for tick in grid_between(start - timedelta(days=1), end)[2::3]:  # a pass each quarter of an hour
            live.run(log, now=tick, watermark=tick)
            found |= {(one.rule, one.subject, one.number): one.started_at for one in live.episodes()}
    words = ["--from", start.isoformat(), "--to", end.isoformat(), "--json"]
    for rule in rules:
        words += ["--rule", rule]
    rows = json.loads(matokit(capfd, "alerts", "backtest", *words)[1])
    tested = {
        (row["rule"], alert["subject"], datetime.fromisoformat(alert["started_at"]))
        for row in rows
        for alert in row["guarded_alerts"]
    }
    assert tested
    assert {(rule, subject, at) for (rule, subject, _), at in found.items() if at > start} == tested


def test_cases_are_run_and_a_failing_one_is_told(here: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    golden = FIXTURES / "alert-cases.json"
    code, out, err = matokit(capfd, "alerts", "test", str(golden))
    assert (code, err) == (0, "")
    count = {name: len(cases) for name, cases in json.loads(golden.read_text(encoding="utf-8")).items()}
    lines = out.splitlines()
    whole = sum(count[name] for name in ("cases", "lifecycle", "business_day", "late"))
    assert lines[-1] == f"{whole} cases, {whole} passed, 0 failed."
    assert len(lines) == whole + 4 + 1
    for name in ("cases", "lifecycle", "business_day", "late"):
        assert f"{name}: {count[name]} of {count[name]} passed" in lines

    wrong = {"business_day": [
        {"id": "bd-x", "raised_at": "2026-03-10T13:00:00Z", "tz": "UTC", "opening": "08:30", "holidays": [],
         "expect": "2026-03-12T08:30:00Z"},
    ]}  # fmt: skip
    (tmp_path / "wrong.json").write_text(json.dumps(wrong), encoding="utf-8")
    code, out, _ = matokit(capfd, "alerts", "test", str(tmp_path / "wrong.json"))
    assert code == 5
    assert out.startswith("FAIL business_day bd-x: the opening is ")
    code, out, _ = matokit(capfd, "alerts", "test", str(tmp_path / "wrong.json"), "--json")
    assert (code, json.loads(out)[0]["passed"]) == (5, False)
    (tmp_path / "odd.json").write_text(json.dumps({"cases": [{"id": "a", "rule": "nonsense"}]}), encoding="utf-8")
    code, _, err = matokit(capfd, "alerts", "test", str(tmp_path / "odd.json"))
    assert code == 2
    assert err.count("\n") == 1


def test_alerts_that_are_switched_off_are_not_evaluated(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATOKIT_ALERTS_ENABLED", "false")
    code, _, err = matokit(capfd, "alerts", "evaluate")
    assert (code, err) == (2, "Alerts are switched off; set alerts.enabled = true to evaluate them.\n")
    with state.opened(here / ".matokit") as connection:
        assert connection.execute("select count(*) as n from evaluations").fetchone()["n"] == 0
