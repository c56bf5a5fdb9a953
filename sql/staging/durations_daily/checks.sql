-- #fail no_more_than_successes: durations of a component and day are no more than its successes
with timed as (
    select event_date, environment, component, sum(events) as events
    from staging.durations_daily
    where event_date between $first_day and $last_day
    group by event_date, environment, component
),

succeeded as (
    select event_date, environment, component, sum(events) as events
    from staging.events_daily
    where event_date between $first_day and $last_day
        and counted
        and outcome = 'success'
    group by event_date, environment, component
)

select timed.event_date, timed.environment, timed.component
from timed
left join succeeded
    on succeeded.event_date = timed.event_date
    and succeeded.environment = timed.environment
    and succeeded.component = timed.component
where timed.events > coalesce(succeeded.events, 0);
