-- 2.2 macOS Version Analysis: a table by family and release of the operating system, most events first, ties by family
-- and release. First seen is the first counted event of the environment on record; a release is new when that was on
-- one of the last seven complete days, whatever the length of the window; null where records begin only then. Default: 30
-- days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day,
        last_complete_day - 6 as first_new_day,
        first_known_day
    from marts.project_day
),

counts as (
    select
        daily.os_family,
        daily.os_release,
        cast(sum(daily.events) as bigint) as events,
        cast(sum(daily.successes) as bigint) as successes,
        cast(sum(daily.failures) as bigint) as failures
    from marts.os_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = $environment
    group by daily.os_family, daily.os_release
    having sum(daily.events) > 0
)

select
    counts.os_family,
    counts.os_release,
    counts.events,
    counts.successes,
    counts.failures,
    rate(counts.successes, counts.events) as success_rate,
    wilson_low(counts.successes, counts.events) as success_rate_low,
    wilson_high(counts.successes, counts.events) as success_rate_high,
    seen.first_seen,
    seen.first_date,
    case
        when period.first_known_day < period.first_new_day
            then seen.first_date between period.first_new_day and period.last_day
    end as is_new
from counts
cross join period
inner join marts.os_first_seen as seen
    on seen.environment = $environment
    and seen.os_family = counts.os_family
    and seen.os_release = counts.os_release
order by counts.events desc, counts.os_family, counts.os_release
