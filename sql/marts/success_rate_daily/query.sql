-- grain: event_date, environment
with counted_events as (
    select
        event_date,
        environment,
        sum(case when counted then events else 0 end) as events,
        sum(case when counted and outcome = 'success' then events else 0 end) as successes,
        sum(case when counted and outcome = 'failure' then events else 0 end) as failures,
        sum(case when counted and confidence = 'inferred' then events else 0 end) as inferred_events,
        sum(case when counted and confidence = 'ambiguous' then events else 0 end) as ambiguous_events
    from staging.events_daily
    where event_date between $first_day and $last_day
    group by event_date, environment
),

machines_of_day as (
    select
        event_date,
        environment,
        machine_key,
        sum(tries) as tries,
        greatest(1, sum(run_starts)) as installations
    from staging.machine_days
    where event_date between $first_day and $last_day
    group by event_date, environment, machine_key
),

machine_counts as (
    select
        event_date,
        environment,
        count(*) filter (where tries > 0) as machines,
        sum(installations) as installations
    from machines_of_day
    group by event_date, environment
)

select
    counted_events.event_date,
    counted_events.environment,
    counted_events.events,
    counted_events.successes,
    counted_events.failures,
    rate(counted_events.successes, counted_events.events) as success_rate,
    wilson_low(counted_events.successes, counted_events.events) as success_rate_low,
    wilson_high(counted_events.successes, counted_events.events) as success_rate_high,
    coalesce(machine_counts.machines, 0) as machines,
    coalesce(machine_counts.installations, 0) as installations,
    counted_events.inferred_events,
    counted_events.ambiguous_events,
    rate(counted_events.inferred_events, counted_events.events) as inferred_share,
    rate(counted_events.ambiguous_events, counted_events.events) as ambiguous_share,
    rate(counted_events.inferred_events + counted_events.ambiguous_events, counted_events.events) as uncertain_share
from counted_events
left join machine_counts
    on machine_counts.event_date = counted_events.event_date
    and machine_counts.environment = counted_events.environment
