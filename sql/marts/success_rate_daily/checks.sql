-- #fail sums_are_those_of_the_cube: events and failures of a day and environment are those of the cube
with cubed as (
    select
        event_date,
        environment,
        sum(case when counted then events else 0 end) as events,
        sum(case when counted and outcome = 'failure' then events else 0 end) as failures
    from staging.events_daily
    group by event_date, environment
)

select cubed.event_date, cubed.environment
from cubed
full join marts.success_rate_daily as mart
    on mart.event_date = cubed.event_date
    and mart.environment = cubed.environment
where mart.events is distinct from cubed.events
    or mart.failures is distinct from cubed.failures;

-- #fail successes_and_failures_are_events: a counted event is a success or a failure
select event_date, environment
from marts.success_rate_daily
where successes + failures <> events;
