"""`alerts backtest`: what each rule would have sent in a past period, raw beside guarded.

Not here: the back-test (alerts/backtest.py), the page (alerts_backtest_page.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, Frame, frame_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import duckdb

    from matokit_pipelines.alert_settings import AlertSettings
    from matokit_pipelines.alerts.backtest import Backtest
    from matokit_pipelines.warehouse.refresh import Home
    from matokit_pipelines.windows import Window

BASELINE_DAYS = 28  # that the longest look of a rule goes back


def backtest(
    context: typer.Context,
    first: str = typer.Option(..., "--from", metavar="TIME", help="First day, such as 2026-10-01, or a time."),
    last: str = typer.Option(..., "--to", metavar="TIME", help="Last day, included, or a time."),
    rule: list[str] = typer.Option([], help="Only this rule; repeatable."),
    changes: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Try another setting: guard.alpha=0.01, rules.arch_gap.gap_points=20."
    ),
    out: Path | None = typer.Option(None, help="Write a page with a timeline here."),
    as_json: bool = AsJson,
) -> None:
    """What each rule would have sent in a past period: by its threshold alone, and with the guard."""
    from matokit_pipelines.cli import alerts_backtest_page as shown
    from matokit_pipelines.cli.alerts_changes import changed
    from matokit_pipelines.cli.alerts_why import check_rule

    frame = frame_of(context)
    for name in rule:
        check_rule(name)
    home = frame.home()
    settings = changed(home.loaded.settings.alerts, changes)
    _check_testable(rule, settings)
    with frame.progress("Evaluating"):
        found = run(home, first, last, settings, only=rule or None, changes=tuple(changes))
    if out is not None:
        zone = home.loaded.settings.project.zone
        shown.write_page(out, shown.page(found, zone, settings.environments, home.clock.now()))
    if as_json:
        frame.rows(shown.rows(found), as_json=True)
        return
    _show(frame, home, found)
    if out is not None:
        frame.say(f"Page: {out}")


def _check_testable(rules: list[str], settings: AlertSettings) -> None:
    """SettingsError when one of the rules has no past, or is switched off."""
    from matokit_pipelines.errors import SettingsError

    if "data_stale" in rules:
        raise SettingsError("data_stale goes by the clock on the wall, so there is no past to test it on.")
    for name in rules:
        if not getattr(settings.rules, name).enabled:
            raise SettingsError(f"{name} is switched off; add --set rules.{name}.enabled=true to try it.")
    if not settings.enabled:
        raise SettingsError("Alerts are switched off; add --set enabled=true to try them.")


def run(
    home: Home,
    first: str,
    last: str,
    settings: AlertSettings,
    *,
    only: list[str] | None = None,
    changes: tuple[str, ...] = (),
) -> Backtest:
    """The back-test of a period of this home, which ends where its data are complete at the latest."""
    from matokit_pipelines.alerts.backtest import backtest as evaluated
    from matokit_pipelines.cli.alerts_time import period_given
    from matokit_pipelines.warehouse.event_log import WarehouseLog

    zone = home.loaded.settings.project.zone
    asked = period_given(first, last, zone, home.clock.now())
    with home.warehouse.reader() as connection:
        known = _known(connection)
        period = _within(asked, known)
        return evaluated(
            WarehouseLog(connection),
            period,
            settings,
            zone=zone,
            only=only,
            events=_events(connection, period, settings),
            changed=changes,
            incomplete=_incomplete(connection, period, home.clock.now()),
            notes=tuple(_notes(asked, period, known)),
        )


def _known(connection: duckdb.DuckDBPyConnection) -> Window:
    """From the first event to where data are complete; SettingsError before there is any."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.windows import Window

    [(begins, mark)] = connection.execute(
        "select (select min(event_ts) from staging.installer_events where counted), "
        "(select watermark from ledger.product_watermark)"
    ).fetchall()
    if begins is None or mark is None or mark <= begins:
        raise SettingsError("There are no events to evaluate yet; run `matokit run` first.")
    return Window(begins, mark)


def _within(asked: Window, known: Window) -> Window:
    """As much of the period as there are complete data for; SettingsError when there is nothing of it."""
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.windows import Window

    start, end = max(asked.start, known.start), min(asked.end, known.end)
    if end <= start:
        raise SettingsError(
            f"Nothing is known of this period: there are complete data from {known.start:%Y-%m-%d %H:%M} to "
            f"{known.end:%Y-%m-%d %H:%M} UTC; choose days in between."
        )
    return Window(start, end)


def _notes(asked: Window, period: Window, known: Window) -> Iterator[str]:
    """What is not as it seems."""
    from datetime import timedelta

    if period != asked:
        yield (
            f"Of the period only {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC is known and "
            "was evaluated."
        )
    before = (period.start - known.start) / timedelta(days=1)
    if before < BASELINE_DAYS:
        yield (
            f"There are {before:.0f} days of data before it, and rules compare with up to {BASELINE_DAYS}: at its "
            "beginning they knew less than they do today."
        )


def _events(connection: duckdb.DuckDBPyConnection, period: Window, settings: AlertSettings) -> int:
    [(events,)] = connection.execute(
        "select count(*) from staging.installer_events where counted and event_ts >= $start and event_ts < $end "
        "and list_contains($environments, environment)",
        {"start": period.start, "end": period.end, "environments": list(settings.environments)},
    ).fetchall()
    return int(events)


def _incomplete(connection: duckdb.DuckDBPyConnection, period: Window, now: datetime) -> tuple[Window, ...]:
    """Windows of sources that count which did not add up when they were last read, within the period."""
    from matokit_pipelines.warehouse import ledger
    from matokit_pipelines.windows import Window, joined

    names = connection.execute("select source from ledger.sources where mirror_of is null order by 1").fetchall()
    troubled = [window for (name,) in names for window in ledger.troubled_windows(connection, name, now)]
    within = (
        Window(max(window.start, period.start), min(window.end, period.end))
        for window in troubled
        if window.start < period.end and window.end > period.start
    )
    return tuple(joined(within))


def _show(frame: Frame, home: Home, found: Backtest) -> None:
    """The table, and above and below it what it is about."""
    from matokit_pipelines.alerts.backtest import figures
    from matokit_pipelines.cli import alerts_backtest_page as shown

    zone = home.loaded.settings.project.zone
    frame.say(f"{shown.period_in_words(found.period, zone)}: {found.events:,} events, {found.ticks:,} evaluations.")
    if found.changed:
        frame.say(f"Tried with {', '.join(found.changed)}.")
    for note in found.notes:
        frame.say(note)
    for hole in found.incomplete:
        frame.say(
            f"Warning: data of {shown.window_in_words(hole, zone)} did not add up; an alert there may be the gap's."
        )
    table: list[dict[str, Any]] = []
    for rule in found.rules:
        raw, guarded = figures(rule.raw, found.period), figures(rule.guarded, found.period)
        table.append(
            {
                "rule": rule.rule,
                "raw starts": raw.starts, "a week": _rounded(found.per_week(raw.starts)), "hours": round(raw.hours, 1),
                "guarded starts": guarded.starts, "a week ": _rounded(found.per_week(guarded.starts)),
                "hours ": round(guarded.hours, 1),
            }
        )  # fmt: skip
    frame.rows(table, as_json=False)
    frame.say(shown.headline(found))


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 2)
