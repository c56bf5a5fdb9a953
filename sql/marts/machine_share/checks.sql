-- #fail shares_are_of_the_production_events: the events of a day and source are those of the cube
with cubed as (
    select event_date, source, sum(events) as events
    from staging.events_daily
    where event_date between $first_day and $last_day
        and counted
        and environment = 'production'
    group by event_date, source
),

shown as (
    select event_date, source, events
    from marts.machine_share
    where event_date between $first_day and $last_day
)

select coalesce(cubed.event_date, shown.event_date) as event_date
from cubed
full join shown
    on shown.event_date = cubed.event_date
    and shown.source = cubed.source
where cubed.events is distinct from shown.events;
