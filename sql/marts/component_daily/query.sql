-- grain: event_date, environment, component; components with counted events only
with counted_events as (
    select
        event_date,
        environment,
        component,
        sum(events) as events,
        sum(case when outcome = 'success' then events else 0 end) as successes,
        sum(case when outcome = 'failure' then events else 0 end) as failures
    from staging.events_daily
    where event_date between $first_day and $last_day
        and counted
    group by event_date, environment, component
),

-- a machine has one row a day and component, so its first try is its unit
machine_counts as (
    select
        event_date,
        environment,
        component,
        count(*) as machines,
        count(*) filter (where failures > 0) as machines_failing,
        count(*) as units,
        count(*) filter (where first_outcome = 'failure') as unit_failures
    from staging.machine_days
    where event_date between $first_day and $last_day
        and tries > 0
    group by event_date, environment, component
)

select
    counted_events.event_date,
    counted_events.environment,
    counted_events.component,
    counted_events.events,
    counted_events.successes,
    counted_events.failures,
    rate(counted_events.successes, counted_events.events) as success_rate,
    wilson_low(counted_events.successes, counted_events.events) as success_rate_low,
    wilson_high(counted_events.successes, counted_events.events) as success_rate_high,
    coalesce(machine_counts.machines, 0) as machines,
    coalesce(machine_counts.machines_failing, 0) as machines_failing,
    coalesce(machine_counts.units, 0) as units,
    coalesce(machine_counts.unit_failures, 0) as unit_failures
from counted_events
left join machine_counts
    on machine_counts.event_date = counted_events.event_date
    and machine_counts.environment = counted_events.environment
    and machine_counts.component = counted_events.component
