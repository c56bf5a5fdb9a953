"""What `status` says of sources, alerts and deliveries: what it means and what to do. Not here: where it is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from matokit_pipelines.cli.frame import bytes_of, counted, moment_of
from matokit_pipelines.delivery.files import Notice

if TYPE_CHECKING:
    from matokit_pipelines.delivery.outbox import Row

MOST_WINDOWS = 3
MOST_NOTICES = 3
MOST_ALERTS = 5


def lines(row: Mapping[str, Any], now: datetime, *, most_requests: int) -> list[str]:
    """The lines of a row of status.sources. `most_requests`: what one pass may make."""
    mirror = f"a mirror of {row['mirror_of']}, compared and never counted, " if row["mirror_of"] else ""
    first = (
        f"{row['source']}: {mirror}complete to {moment_of(row['watermark'], now)}, {counted(row['events'], 'event')}."
    )
    more = [*_trouble(row), *_mirror(row), *_proof(row), *_real_time(row), *_requests(row, most_requests)]
    return [first, *(f"  {line}" for line in more)]


def notices(found: Sequence[Notice], now: datetime) -> Iterator[str]:
    """The newest open notices to the operators, and where all of them lie."""
    for notice in found[:MOST_NOTICES]:
        yield f"Notice of {moment_of(notice.at, now)}: {notice.text}"
    if found:
        older = len(found) - MOST_NOTICES
        which = f"{counted(older, 'older notice')} and these" if older > 0 else "They"
        yield f"  {which} lie in notices/ of the home; one that is over goes by itself, or delete its file."


def alerts(found: Sequence[Mapping[str, Any]], evaluated_to: datetime | None, now: datetime) -> Iterator[str]:
    """The alerts that fire or recover, as `alerts list` gives them, and up to when the rules were evaluated."""
    from matokit_pipelines.alerts.content.wording import name
    from matokit_pipelines.alerts.verdicts import ALL

    firing = [row for row in found if row["state"] in ("firing", "recovering")]
    if evaluated_to is not None:
        fire = (
            f"{counted(len(firing), 'alert')} {'fires' if len(firing) == 1 else 'fire'}" if firing else "Nothing fires"
        )
        yield f"{fire}; rules evaluated up to {moment_of(evaluated_to, now)}."
    for row in firing[:MOST_ALERTS]:
        about = "everything" if row["subject"] == ALL else name(row["subject"])
        yield f"  {row['rule']} of {about} since {moment_of(row['started_at'], now)}"
    if len(firing) > MOST_ALERTS:
        yield f"  and {len(firing) - MOST_ALERTS:,} more; `matokit alerts list` shows all."


def deliveries(counts: Mapping[str, int], newest_dead: Sequence[Row]) -> Iterator[str]:
    """Messages that wait, and those that were given up."""
    waiting = counts["pending"] + counts["sending"]
    if waiting:
        verb = "waits" if waiting == 1 else "wait"
        yield f"{counted(waiting, 'message')} {verb} to be sent; see `matokit outbox list`."
    if counts["dead"]:
        because = f", the last to {newest_dead[0].destination} ({newest_dead[0].error})" if newest_dead else ""
        yield (
            f"{counted(counts['dead'], 'message')} could not be delivered{because}; when the cause is gone, "
            "`matokit outbox retry` sends again."
        )


def _trouble(row: Mapping[str, Any]) -> Iterator[str]:
    if row["last_error"]:
        yield f"last pass failed: {row['last_error']}"
    if row["left_behind"]:
        yield "it is more than six hours behind the other sources, which go on without it."
    if row["troubled"]:
        yield from _windows(row["source"], row["troubled"], ZoneInfo(row["zone"]))
    if row["withheld"]:
        yield (
            f"{counted(row['withheld'], 'action')} of very long visits are withheld by the server; its setting "
            "visitor_log_maximum_actions_per_visit lifts that."
        )


def _windows(source: str, troubled: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> Iterator[str]:
    """The newest windows that do not add up, what was wrong with them, and whether they are still read again."""
    given_up = [window for window in troubled if window["given_up"]]
    fate = "read again by each pass"
    if given_up:
        some = "" if len(given_up) == len(troubled) else f"{len(given_up):,} of them "
        fate = f"{some}read in vain too often, so passed by and marked"
    yield f"{counted(len(troubled), 'window')} did not add up; {fate}:"
    for window in reversed(troubled[-MOST_WINDOWS:]):
        start, end = window["start"].astimezone(UTC), window["end"].astimezone(UTC)
        until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
        yield f"  {start:%Y-%m-%d %H:%M} to {until} UTC: {(window['detail'] or 'not read to its end').rstrip('.')}."
    if len(troubled) > MOST_WINDOWS:
        yield f"  and {len(troubled) - MOST_WINDOWS:,} older; --json names all of them."
    if given_up:
        first = given_up[0]["start"].astimezone(zone)
        yield f"  `matokit extract --source {source} --from {first:%Y-%m-%d}` tries them once more."


def _mirror(row: Mapping[str, Any]) -> Iterator[str]:
    if not row["mirror_of"]:
        return
    equal, differing = row.get("mirror_equal_days") or 0, row.get("mirror_differing_days") or 0
    if not equal and not differing:
        yield f"not compared with {row['mirror_of']} yet: no day of both is complete and derived."
    elif differing:
        yield (
            f"{counted(differing, 'day')} of {equal + differing:,} hold other events than {row['mirror_of']}, the last "
            f"{row['mirror_last_differing_day']}; see mirror_daily."
        )
    else:
        yield f"all {counted(equal, 'day')} that were compared hold the same events as {row['mirror_of']}."


def _proof(row: Mapping[str, Any]) -> Iterator[str]:
    if row["differing_days"]:
        yield f"{counted(row['differing_days'], 'day')} on which the source's report counts more events than it gives."
    if row["unreported_days"]:
        yield (
            f"{row['unreported_days']} of {counted(row['compared_days'], 'closed day')} have no report at the source "
            "yet, so nothing independent confirms them."
        )
    if row["surplus_days"]:
        yield (
            f"{counted(row['surplus_days'], 'day')} hold more events than the source's report, which is late or counts "
            "less."
        )
    if row["equal_days"]:
        every = "all" if row["equal_days"] == row["compared_days"] else f"{row['equal_days']} of"
        yield f"{every} {counted(row['compared_days'], 'closed day')} agree with the source's own report."
    if row["quarantined"]:
        yield f"{counted(row['quarantined'], 'piece')} could not become rows; see raw.quarantine."


def _real_time(row: Mapping[str, Any]) -> Iterator[str]:
    if row["kind"] != "piwik_pro":
        return
    if row["real_time_note"]:
        yield f"nothing is known of the last hours: {row['real_time_note'].rstrip('.')}."
    elif row["provisional"]:
        yield f"known of the last hours, provisionally and counted nowhere: {counted(row['provisional'], 'event')}."


def _requests(row: Mapping[str, Any], most: int) -> Iterator[str]:
    if row["requests_last_pass"] is not None:
        yield (
            f"{counted(row['requests_last_pass'], 'request')} in the last pass (at most {most:,}), "
            f"{row['requests_last_day']:,} in the last 24 h, {bytes_of(row['bytes_last_day'])}."
        )
