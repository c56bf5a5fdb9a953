"""The event model and the counting of the alert benchmark. Not here: the figures of `benchmarks/alerts.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.alerting import cells, model, starts, tables
from benchmarks.alerting.model import CHANGES, COMPONENTS, Events, Planted, simulated
from matokit_pipelines.alerts.evaluation import RULE_VERSION

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
CHANGE = MONDAY + timedelta(days=14, hours=10)
END = MONDAY + timedelta(days=28)


def share(events: Events, chosen: np.ndarray) -> float:
    """Of successes, in percent."""
    return 100 * float(1 - events.failed[chosen].mean())


def after(events: Events, moment: datetime) -> np.ndarray:
    return events.ts >= int(moment.timestamp()) * model.MICROSECONDS


@pytest.fixture(scope="module")
def unchanged() -> Events:
    return simulated(10_000, MONDAY, END, 1, None)


def test_the_model_has_the_stated_volume_and_success(unchanged: Events) -> None:
    everything = np.ones(len(unchanged), dtype=bool)
    assert len(unchanged) / 28 == pytest.approx(10_000, rel=0.02)
    assert len(unchanged) / len(np.unique(unchanged.machine)) == pytest.approx(8.6, abs=0.1)
    assert share(unchanged, everything) == pytest.approx(96.6, abs=0.2)
    assert bool(np.all(np.diff(unchanged.ts) >= 0))


def test_failures_of_a_machine_come_together_as_stated(unchanged: Events) -> None:
    assert model.design_effect(unchanged) == pytest.approx(1.45, abs=0.1)


def test_first_tries_succeed_as_often_as_the_model_says(unchanged: Events) -> None:
    _, first = np.unique(unchanged.machine * len(COMPONENTS) + unchanged.component, return_index=True)
    for number, wanted in enumerate((99.5, 97, 96, 97, 97.5, 98.5, 97, 93, 96, 88, 97, 99)):
        chosen = first[unchanged.component[first] == number]
        error = 100 * (wanted / 100 * (1 - wanted / 100) / len(chosen)) ** 0.5
        assert share(unchanged, chosen) == pytest.approx(wanted, abs=0.3 + 3 * error), COMPONENTS[number]


def test_shares_of_systems_hours_and_days(unchanged: Events) -> None:
    machines, first = np.unique(unchanged.machine, return_index=True)
    assert unchanged.architecture[first].mean() == pytest.approx(0.28, abs=0.01)
    assert np.bincount(unchanged.system[first]) / len(machines) == pytest.approx(model.SYSTEM_SHARES, abs=0.01)
    seconds = unchanged.ts[first] / model.MICROSECONDS - MONDAY.timestamp()
    by_hour = np.bincount((seconds // 3600 % 24).astype(int), minlength=24)
    assert by_hour[10] / by_hour[3] == pytest.approx(2.3 / 0.08, rel=0.35)
    by_day = np.bincount((seconds // 86_400 % 7).astype(int), minlength=7)
    assert by_day[5] / by_day[0] == pytest.approx(0.35 / 1.30, rel=0.1)


@pytest.mark.parametrize("kind", CHANGES)
def test_nothing_differs_before_a_planted_change_begins(kind: str) -> None:
    events = simulated(5_000, MONDAY, END, 2, Planted(kind, CHANGE))
    assert share(events, ~after(events, CHANGE)) == pytest.approx(97.1 if kind == "component" else 96.6, abs=0.4)


def test_a_broken_component_fails_for_the_same_machines_always() -> None:
    events = simulated(10_000, MONDAY, END, 3, Planted("component", CHANGE))
    packages = events.component == COMPONENTS.index("packages")
    late = after(events, CHANGE + timedelta(days=1))
    _, first = np.unique(np.where(packages & late, events.machine, -1), return_index=True)
    assert share(events, first[1:]) == pytest.approx(70, abs=2.5)
    assert share(events, ~packages & late) == pytest.approx(97, abs=0.5)


def test_a_bad_commit_is_twelve_points_worse_and_is_the_one_published_then() -> None:
    events = simulated(10_000, MONDAY, END, 4, Planted("commit", CHANGE))
    bad = events.commit == events.bad_commit
    assert not np.any(bad & ~after(events, CHANGE))
    assert events.ts[bad][0] < (CHANGE + timedelta(hours=1)).timestamp() * model.MICROSECONDS
    assert share(events, bad) == pytest.approx(96.6 - 12, abs=1.5)
    assert share(events, ~bad) == pytest.approx(96.6, abs=0.4)


def test_an_outage_lasts_four_hours_and_an_architecture_gap_on() -> None:
    outage = simulated(10_000, MONDAY, END, 5, Planted("outage", CHANGE))
    within = after(outage, CHANGE) & ~after(outage, CHANGE + timedelta(hours=4))
    assert share(outage, within) == pytest.approx(100 * 0.966 * 0.65, abs=2)
    assert share(outage, ~within) == pytest.approx(96.6, abs=0.4)
    gap = simulated(10_000, MONDAY, END, 6, Planted("architecture", CHANGE))
    x86, late = gap.architecture == 1, after(gap, CHANGE)
    assert share(gap, ~x86 & late) - share(gap, x86 & late) == pytest.approx(20, abs=1.5)


def test_a_seed_gives_the_same_events_again() -> None:
    one, other = (simulated(100, MONDAY, END, [7, 8], Planted("outage", CHANGE)) for _ in range(2))
    assert np.array_equal(one.ts, other.ts)
    assert np.array_equal(one.failed, other.failed)


def stretch(first: int, last: int, raw: bool, guarded: bool = False) -> starts.Stretch:
    """Minutes after Monday's midnight."""
    return starts.Stretch(MONDAY + timedelta(minutes=first), MONDAY + timedelta(minutes=last), raw, guarded)


def minutes(found: list[datetime]) -> list[int]:
    return [int((moment - MONDAY) / timedelta(minutes=1)) for moment in found]


def test_an_alert_starts_again_only_after_an_hour_without_its_condition() -> None:
    hour = timedelta(hours=1)
    short = [stretch(0, 5, True), stretch(10, 65, False), stretch(70, 80, True)]
    assert minutes(starts.starts(short, hour, guard=False)) == [0]
    long = [stretch(0, 5, True), stretch(10, 70, False), stretch(75, 80, True)]
    assert minutes(starts.starts(long, hour, guard=False)) == [0, 75]
    assert minutes(starts.starts(short, timedelta(), guard=False)) == [0, 70]


def test_the_guard_decides_on_starts_only() -> None:
    found = [stretch(0, 5, True), stretch(10, 15, True, True), stretch(20, 300, True), stretch(305, 310, True, True)]
    assert minutes(starts.starts(found, timedelta(hours=1), guard=True)) == [10]
    assert minutes(starts.starts(found, timedelta(hours=1), guard=False)) == [0]


def test_without_data_the_recovery_stands_still_and_a_day_closes() -> None:
    hour, day = timedelta(hours=1), 1440
    gap = [stretch(0, 0, True), stretch(5, 35, False), stretch(600, 625, False), stretch(630, 630, True)]
    assert minutes(starts.starts(gap, hour, guard=False)) == [0]
    closed = [stretch(0, 0, True), stretch(day + 5, day + 5, True)]
    assert minutes(starts.starts(closed, hour, guard=False)) == [0, day + 5]


def test_what_holds_already_is_caught_at_once_and_what_comes_too_late_is_not() -> None:
    begin, until = MONDAY + timedelta(minutes=10), MONDAY + timedelta(minutes=60)
    assert starts.first_caught([stretch(0, 20, True)], begin, until, guard=False) == begin
    assert starts.first_caught([stretch(0, 20, True)], begin, until, guard=True) is None
    assert starts.first_caught([stretch(65, 70, True)], begin, until, guard=False) is None
    assert starts.first_caught([stretch(60, 70, True, True)], begin, until, guard=True) == until


def test_bounds_are_those_of_tables() -> None:
    """Garwood's exact limits of a Poisson mean; Wilson's of a share."""
    assert starts.lowest_rate(0, 10) == 0
    assert starts.lowest_rate(1, 1) == pytest.approx(0.0513, abs=1e-4)
    assert starts.lowest_rate(10, 2) == pytest.approx(5.4254 / 2, abs=1e-4)
    assert starts.highest_share(5, 10) == pytest.approx(0.7307, abs=1e-4)


def weeks(count: int, alarms: int) -> dict[str, object]:
    guarded = [("overall_success_rate", "*", "2026-02-02T00:05:00+00:00")] * alarms
    return {"volume": 500, "weeks": count, "raw": {"overall_success_rate": 2 * alarms}, "guarded": guarded}


def test_false_alarms_fail_only_when_their_lower_bound_is_above_the_limit() -> None:
    def verdicts(alarms: int) -> dict[str, str]:
        figures = tables.false_alarms([weeks(120, 0), weeks(80, alarms)], [500])
        return {figure.row: tables.verdict(figure) for figure in figures}

    assert verdicts(116)["all"] == "passes"  # 0.58 a week
    assert verdicts(119)["all"] == "FAILS"
    assert verdicts(119)["overall_success_rate"] == ""  # single rules are not judged


def test_a_detection_fails_only_when_its_upper_bound_is_below_the_limit() -> None:
    def verdict(caught: int) -> str:
        found = {"outage|overall_success_rate|6": {"raw": [1.0] * 400, "guarded": [1.5] * caught}}
        found["outage|high_volume_failures|6"] = {"raw": [], "guarded": []}
        result = {"volume": 100, "change": "outage", "tried": 400, "found": found}
        return tables.verdict(tables.detections([result], [100])[0])

    assert verdict(301) == "passes"  # 75.3 %, and 78 % were to be reached
    assert verdict(297) == "FAILS"


def test_a_piece_is_simulated_once_and_then_read(tmp_path: Path) -> None:
    piece = cells.Piece("outage", 500, 0, 1, 3)
    first = cells.result_of(piece, tmp_path)
    [kept] = tmp_path.iterdir()
    assert first["found"]["outage|overall_success_rate|6"]["guarded"]
    kept.write_text(kept.read_text(encoding="utf-8").replace('"tried": 1', '"tried": 77'), encoding="utf-8")
    assert cells.result_of(piece, tmp_path)["tried"] == 77
    kept.write_text(
        kept.read_text(encoding="utf-8").replace('"rule_version": "', '"rule_version": "x'), encoding="utf-8"
    )
    assert cells.result_of(piece, tmp_path) == first


def test_the_benchmark_ends_with_5_when_a_figure_fails(tmp_path: Path) -> None:
    kept = weeks(1, 9) | {"change": None, "rule_version": RULE_VERSION}
    (tmp_path / "null-500-1-0-3.json").write_text(json.dumps(kept), encoding="utf-8")
    asked = ["--volumes", "500", "--only", "null", "--weeks", "1", "--seed", "3", "--keep", str(tmp_path)]
    told = tmp_path / "told.json"
    script = Path(__file__).parents[2] / "benchmarks" / "alerts.py"
    done = subprocess.run(
        [sys.executable, str(script), *asked, "--json", str(told)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 5, done.stderr
    assert "| all | 500 | 1 | 18.00 → 9.00 | 24.9 → 0.42 | 0.5 | 4.70 | FAILS |" in done.stdout
    assert [figure["row"] for figure in json.loads(told.read_text()) if figure["passes"] is False] == ["all"]
