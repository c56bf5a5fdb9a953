"""What is known of the data behind a page: rows left out, doubtful readings, each source's completeness and losses.

Every page ends with it. Not here: the sentences about it (completeness.py).
"""

from __future__ import annotations

from datetime import date

from matokit_pipelines.reports.shapes import (
    Gap,
    KnownLoss,
    LeftOut,
    Period,
    Quality,
    Queryable,
    SourceState,
)
from matokit_pipelines.statistics import rate
from matokit_pipelines.windows import ONE_DAY, day_window, zone_named

ENVIRONMENT = "production"
GAPS_NAMED = 3


def quality(
    snapshot: Queryable, period: Period, before: Period, *, largest_machine_events: int, shared_keys: bool
) -> Quality:
    """The quality of a period's data. `before`: the period with which it is compared."""
    days = success_days(snapshot, period.first_day, period.last_day)
    inferred = sum(row["inferred_events"] for row in days.values())
    ambiguous = sum(row["ambiguous_events"] for row in days.values())
    counted, left_out = landed_rows(snapshot, period.first_day, period.last_day)
    events = sum(row["events"] for row in days.values())
    return Quality(
        landed=counted + sum(reason.rows for reason in left_out),
        counted=counted,
        left_out=left_out,
        inferred_events=inferred,
        inferred=rate(inferred, events),
        ambiguous_events=ambiguous,
        ambiguous=rate(ambiguous, events),
        largest_machine_events=largest_machine_events,
        largest_machine=rate(largest_machine_events, events),
        shared_keys=shared_keys,
        sources=source_states(snapshot, period, before),
    )


def success_days(snapshot: Queryable, first: date, last: date) -> dict[date, dict[str, int]]:
    """Production days with events: `events, successes, failures, installations, machines` and doubtful readings."""
    rows = snapshot.query(
        """
        select event_date, events, successes, failures, installations, machines, inferred_events, ambiguous_events
        from success_rate_daily
        where environment = $environment
          and event_date between $first and $last
        order by event_date
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    return {row.pop("event_date"): row for row in rows.to_dicts()}


def landed_rows(snapshot: Queryable, first: date, last: date) -> tuple[int, tuple[LeftOut, ...]]:
    """`(counted rows, left out by reason)` of these days over all environments; the largest reason first."""
    rows = snapshot.query(
        """
        select left_out_reason, cast(sum(landed) as bigint) as "rows"
        from data_quality_daily
        where event_date between $first and $last
        group by left_out_reason
        order by "rows" desc, left_out_reason
        """,
        {"first": first, "last": last},
    )
    counted = sum(landed for reason, landed in rows.iter_rows() if reason is None)
    return counted, tuple(LeftOut(reason, landed) for reason, landed in rows.iter_rows() if reason is not None)


def source_states(snapshot: Queryable, period: Period, before: Period) -> tuple[SourceState, ...]:
    """What is known of each source that counts, by name; a mirror does not."""
    gaps = known_gaps(snapshot, period)
    losses, losses_before = known_losses(snapshot, period), known_losses(snapshot, before)
    rows = snapshot.query(
        """
        select source, watermark, proven_from, windows_incomplete, truncated, quarantined, open_differences, last_error
        from extraction_status
        where mirror_of is null
        order by source
        """
    )
    return tuple(
        SourceState(
            row["source"],
            row["watermark"],
            row["proven_from"],
            losses.get(row["source"], KnownLoss()),
            losses_before.get(row["source"], KnownLoss()),
            KnownLoss(row["truncated"], row["open_differences"]),
            row["windows_incomplete"],
            row["quarantined"],
            row["last_error"],
            gaps.get(row["source"], ())[:GAPS_NAMED],
            max(0, len(gaps.get(row["source"], ())) - GAPS_NAMED),
        )
        for row in rows.iter_rows(named=True)
    )


def known_gaps(snapshot: Queryable, period: Period) -> dict[str, tuple[Gap, ...]]:
    """By source the windows that do not add up and reach into the period, in order."""
    rows = snapshot.query(
        """
        select source, window_start, window_end, announced, received
        from extraction_gaps
        where window_start < $end and window_end > $start
        order by source, window_start, window_end
        """,
        {"start": period.start, "end": period.end},
    )
    found: dict[str, tuple[Gap, ...]] = {}
    for source, *gap in rows.iter_rows():
        found[source] = (*found.get(source, ()), Gap(*gap))
    return found


def known_losses(snapshot: Queryable, period: Period) -> dict[str, KnownLoss]:
    """What is missing of each source on those days of its site that the period touches; sources without loss lack.

    A site may cut its days in another zone than the project, so its first and last day can reach out of the period.
    """
    rows = snapshot.query(
        """
        select days.source, status.zone, days.site_date, days.truncated,
               coalesce(days.verdict = 'differs', false) as differs
        from extraction_days as days
        inner join extraction_status as status on status.source = days.source
        where days.site_date between $first and $last
        order by days.source, days.site_date
        """,
        {"first": period.first_day - ONE_DAY, "last": period.last_day + ONE_DAY},
    )
    found: dict[str, KnownLoss] = {}
    for source, zone, day, truncated, differs in rows.iter_rows():
        window = day_window(day, zone_named(zone))
        if window.start < period.end and window.end > period.start and (truncated or differs):
            known = found.get(source, KnownLoss())
            found[source] = KnownLoss(known.truncated + truncated, known.open_differences + differs)
    return found
