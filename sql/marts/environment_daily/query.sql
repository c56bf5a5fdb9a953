-- grain: event_date, environment; what arrived, counted or not
with per_day as (
    select
        event_date,
        environment,
        sum(events) as landed_events,
        sum(case when counted then events else 0 end) as events,
        sum(case when counted and outcome = 'success' then events else 0 end) as successes,
        sum(case when counted and outcome = 'failure' then events else 0 end) as failures,
        sum(case when not counted and outcome = 'unknown' then events else 0 end) as unknown_events,
        min(first_ts) as first_event_at,
        max(last_ts) as last_event_at
    from staging.events_daily
    where event_date between $first_day and $last_day
    group by event_date, environment
)

select
    event_date,
    environment,
    events,
    successes,
    failures,
    rate(successes, events) as success_rate,
    wilson_low(successes, events) as success_rate_low,
    wilson_high(successes, events) as success_rate_high,
    landed_events,
    unknown_events,
    first_event_at,
    last_event_at
from per_day
