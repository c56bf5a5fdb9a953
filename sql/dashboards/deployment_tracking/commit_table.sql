-- 4.1 Commit Performance: a table of the commits that production events of the window name, the commit first seen last
-- on top (first production event on record, ties by name). Events and rates are those of the window; first and last
-- seen, and the verdict against the commit before, are those of the commit's whole life in production. A commit is the
-- head of the main branch at event time, not the version of the script that ran. Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
),

counts as (
    select
        daily.commit_sha,
        cast(sum(daily.events) as bigint) as events,
        cast(sum(daily.successes) as bigint) as successes,
        cast(sum(daily.failures) as bigint) as failures
    from marts.commit_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = 'production'
    group by daily.commit_sha
)

select
    counts.commit_sha,
    counts.events,
    counts.successes,
    counts.failures,
    rate(counts.successes, counts.events) as success_rate,
    wilson_low(counts.successes, counts.events) as success_rate_low,
    wilson_high(counts.successes, counts.events) as success_rate_high,
    rate(counts.failures, counts.events) as failure_rate,
    life.first_seen,
    life.last_seen,
    regression.verdict,
    coalesce(regression.verdict = 'worse', false) as is_regression
from counts
inner join marts.commit_performance as life on life.commit_sha = counts.commit_sha
left join marts.commit_regression as regression on regression.commit_sha = counts.commit_sha
order by life.first_seen desc, counts.commit_sha
