-- grain: event_date, source; counted production events only
with machine_events as (
    select
        event_date,
        source,
        -- without a visitor id each event is its own machine
        coalesce(machine_key, 'event-' || site_id || '|' || event_id) as machine,
        count(*) as events
    from staging.installer_events
    where event_date between $first_day and $last_day
        and counted
        and environment = 'production'
    group by event_date, source, coalesce(machine_key, 'event-' || site_id || '|' || event_id)
),

day_events as (
    select
        event_date,
        source,
        sum(events) as events,
        count(*) as machines,
        max(events) as largest_machine_events
    from machine_events
    group by event_date, source
)

select
    event_date,
    source,
    events,
    machines,
    largest_machine_events,
    rate(largest_machine_events, events) as largest_machine_share
from day_events
