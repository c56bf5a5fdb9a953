-- #fail tries_are_counted_events: the tries of all machines are the counted events, day by day
with counted_events as (
    select event_date, sum(events) as events
    from staging.events_daily
    where event_date between $first_day and $last_day
        and counted
    group by event_date
),

tried as (
    select event_date, sum(tries) as tries
    from staging.machine_days
    where event_date between $first_day and $last_day
    group by event_date
)

select coalesce(counted_events.event_date, tried.event_date) as event_date
from counted_events
full join tried on tried.event_date = counted_events.event_date
where coalesce(counted_events.events, 0) <> coalesce(tried.tries, 0);
