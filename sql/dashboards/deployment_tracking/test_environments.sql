-- 4.4 Test Environment Usage: a ring of counted events by environment with count and share, most events first, ties by
-- name. Default: 7 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
),

counts as (
    select
        daily.environment,
        cast(sum(daily.events) as bigint) as events
    from marts.environment_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    group by daily.environment
    having sum(daily.events) > 0
),

total as (
    select sum(events) as events
    from counts
)

select
    counts.environment,
    counts.events,
    rate(counts.events, total.events) as share
from counts
cross join total
order by counts.events desc, counts.environment
