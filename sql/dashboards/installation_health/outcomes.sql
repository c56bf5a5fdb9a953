-- 1.3 Success vs Failure Distribution: a ring of two slices with count and share; both are there even when one is 0.
-- The third row is named under the ring and is no slice: events that do not say how it went (share null).
-- Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
),

totals as (
    select
        cast(coalesce(sum(daily.successes), 0) as bigint) as successes,
        cast(coalesce(sum(daily.failures), 0) as bigint) as failures,
        cast(coalesce(sum(daily.unknown_events), 0) as bigint) as unknown_events
    from marts.environment_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = $environment
),

slices as (
    select
        1 as place,
        'success' as outcome,
        successes as events,
        rate(successes, successes + failures) as share
    from totals
    union all
    select
        2 as place,
        'failure' as outcome,
        failures as events,
        rate(failures, successes + failures) as share
    from totals
    union all
    select
        3 as place,
        'unknown' as outcome,
        unknown_events as events,
        null as share
    from totals
)

select
    outcome,
    events,
    share
from slices
order by place
