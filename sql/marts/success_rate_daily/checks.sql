-- #fail sums_are_those_of_the_cube: events and failures of a day and environment are those of the cube
with cubed as (
    select
        event_date,
        environment,
        sum(case when counted then events else 0 end) as events,
        sum(case when counted and outcome = 'failure' then events else 0 end) as failures
    from staging.events_daily
    where event_date between $first_day and $last_day
    group by event_date, environment
),

shown as (
    select event_date, environment, events, failures
    from marts.success_rate_daily
    where event_date between $first_day and $last_day
)

select cubed.event_date, cubed.environment
from cubed
full join shown
    on shown.event_date = cubed.event_date
    and shown.environment = cubed.environment
where shown.events is distinct from cubed.events
    or shown.failures is distinct from cubed.failures;

-- #fail successes_and_failures_are_events: a counted event is a success or a failure
select event_date, environment
from marts.success_rate_daily
where event_date between $first_day and $last_day
    and successes + failures <> events;
