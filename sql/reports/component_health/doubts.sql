-- grain: one row; counted events of the window whose outcome was inferred or is ambiguous, and those of the machine key
-- with most of them
with seen as (
    select
        confidence,
        coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16)) as machine
    from staging.installer_events
    where counted
        and environment = $environment
        and event_ts >= $start_ts
        and event_ts < $end_ts
),

machines as (
    select count(*) as events
    from seen
    group by machine
)

select
    count(*) as events,
    count(*) filter (where confidence = 'inferred') as inferred_events,
    count(*) filter (where confidence = 'ambiguous') as ambiguous_events,
    (select coalesce(max(events), 0) from machines) as largest_machine_events
from seen
