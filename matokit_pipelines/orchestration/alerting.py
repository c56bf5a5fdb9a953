"""What the probe learns and the sensor needs: up to where all is complete, and whether an evaluation is due.

The sensor reads no warehouse; what moves without a run, the watermark of quiet hours, is noted in the store. Not here:
what is evaluated (alerts/passes.py).
"""

from datetime import UTC, datetime, timedelta

from matokit_pipelines import state
from matokit_pipelines.alerts import passes, store
from matokit_pipelines.alerts.evaluator import STALE
from matokit_pipelines.errors import NothingPublished, SnapshotDamaged
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current

PATIENCE = timedelta(minutes=30)  # in which an evaluation that is due must have been made
_COMPLETE_TO = "probe_complete_to"  # name of a row of `progress`


def note_complete_to(home: Home, mark: datetime | None) -> None:
    """Keep what a probe found: everything up to `mark` is landed and derived."""
    if mark is None:
        return
    with state.opened(home.loaded.home) as connection:
        connection.execute(
            "insert into progress (name, value) values (?, ?) on conflict (name) do update set value = excluded.value",
            [_COMPLETE_TO, state.moment(mark)],
        )


def complete_to(home: Home) -> datetime | None:
    """Up to where everything is known to be landed and derived, by the snapshot in service and the last probe."""
    marks = []
    with state.opened(home.loaded.home) as connection:
        row = connection.execute("select value from progress where name = ?", [_COMPLETE_TO]).fetchone()
    if row and (noted := state.instant(row["value"])):
        marks.append(noted)
    try:
        with open_current(home.loaded.home) as snapshot:
            if snapshot.manifest.watermark:
                marks.append(snapshot.manifest.watermark.astimezone(UTC))
    except (NothingPublished, SnapshotDamaged):
        pass
    return max(marks, default=None)


def tells_of_old_data(home: Home, mark: datetime) -> bool:
    """Whether the operators hear of data that are complete to `mark` only by the alert `data_stale`: they were told,
    or it is so early that they may still be."""
    settings = home.loaded.settings.alerts
    if not settings.enabled or not settings.rules.data_stale.enabled:
        return False
    with state.opened(home.loaded.home) as connection:
        if any(m.episode.rule == STALE and m.telling.told_at for m in store.open_matters(connection)):
            return True
    return home.clock.now() <= mark + timedelta(hours=settings.rules.data_stale.after_hours) + PATIENCE


def why_due(home: Home) -> str | None:
    """Why an evaluation is due, in a sentence; None when none is."""
    return passes.is_due(home.loaded.home, home.loaded.settings, home.clock.now(), complete_to(home))
