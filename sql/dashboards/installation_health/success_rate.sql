-- 1.1 Success Rate Metric: one tile. Successes of all counted events in one environment, with a 95 % Wilson interval;
-- beside them the same number of days before, the change in percentage points, and all environments together.
-- Always one row; a rate without events is null, and so is a change that lacks one of its two rates. Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
),

counts as (
    select
        cast(coalesce(sum(case
            when daily.environment = $environment and daily.event_date >= period.first_day then daily.events
        end), 0) as bigint) as events,
        cast(coalesce(sum(case
            when daily.environment = $environment and daily.event_date >= period.first_day then daily.successes
        end), 0) as bigint) as successes,
        cast(coalesce(sum(case
            when daily.environment = $environment and daily.event_date < period.first_day then daily.events
        end), 0) as bigint) as events_before,
        cast(coalesce(sum(case
            when daily.environment = $environment and daily.event_date < period.first_day then daily.successes
        end), 0) as bigint) as successes_before,
        cast(coalesce(sum(case
            when daily.event_date >= period.first_day then daily.events
        end), 0) as bigint) as events_everywhere,
        cast(coalesce(sum(case
            when daily.event_date >= period.first_day then daily.successes
        end), 0) as bigint) as successes_everywhere
    from marts.success_rate_daily as daily
    inner join period
        on daily.event_date between period.first_day - cast($days as integer) and period.last_day
)

select
    period.first_day,
    period.last_day,
    counts.events,
    counts.successes,
    rate(counts.successes, counts.events) as success_rate,
    wilson_low(counts.successes, counts.events) as success_rate_low,
    wilson_high(counts.successes, counts.events) as success_rate_high,
    counts.events_before,
    counts.successes_before,
    rate(counts.successes_before, counts.events_before) as success_rate_before,
    100 * (
        rate(counts.successes, counts.events) - rate(counts.successes_before, counts.events_before)
    ) as change_points,
    counts.events_everywhere,
    counts.successes_everywhere,
    rate(counts.successes_everywhere, counts.events_everywhere) as success_rate_everywhere,
    wilson_low(counts.successes_everywhere, counts.events_everywhere) as success_rate_everywhere_low,
    wilson_high(counts.successes_everywhere, counts.events_everywhere) as success_rate_everywhere_high
from period
cross join counts
