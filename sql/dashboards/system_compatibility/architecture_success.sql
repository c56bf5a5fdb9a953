-- 2.3 Architecture vs Success Rate: bars for events on the left axis, points for the success rate on the right one with
-- its 95 % Wilson interval as a rule; most events first, ties by name. Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
),

counts as (
    select
        daily.architecture,
        cast(sum(daily.events) as bigint) as events,
        cast(sum(daily.successes) as bigint) as successes
    from marts.architecture_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = $environment
    group by daily.architecture
    having sum(daily.events) > 0
)

select
    architecture,
    events,
    rate(successes, events) as success_rate,
    wilson_low(successes, events) as success_rate_low,
    wilson_high(successes, events) as success_rate_high
from counts
order by events desc, architecture
