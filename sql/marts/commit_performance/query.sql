-- grain: commit_sha; commits with counted events in production or CI; rates are those of production
with production as (
    select
        commit_sha,
        min(first_ts) as first_seen,
        max(last_ts) as last_seen,
        sum(events) as events,
        sum(case when outcome = 'success' then events else 0 end) as successes,
        sum(case when outcome = 'failure' then events else 0 end) as failures
    from staging.events_daily
    where counted
        and environment = 'production'
        and commit_sha is not null
    group by commit_sha
),

ci as (
    select
        commit_sha,
        sum(events) as events,
        sum(case when outcome = 'success' then events else 0 end) as successes,
        sum(case when outcome = 'failure' then events else 0 end) as failures
    from staging.events_daily
    where counted
        and environment = 'ci'
        and commit_sha is not null
    group by commit_sha
),

-- production order: first production event, commits of the same instant by name
with_predecessor as (
    select
        commit_sha,
        first_seen,
        last_seen,
        events,
        successes,
        failures,
        lag(cast(commit_sha as varchar)) over (order by first_seen, commit_sha) as predecessor_sha
    from production
),

machine_counts as (
    select
        commit_sha,
        machines,
        units,
        unit_failures
    from marts.component_commit
    where environment = 'production'
        and component = 'all'
),

commits as (
    select commit_sha from production
    union
    select commit_sha from ci
)

select
    commits.commit_sha,
    with_predecessor.first_seen,
    with_predecessor.last_seen,
    coalesce(with_predecessor.events, 0) as events,
    coalesce(with_predecessor.successes, 0) as successes,
    coalesce(with_predecessor.failures, 0) as failures,
    rate(with_predecessor.successes, with_predecessor.events) as success_rate,
    wilson_low(with_predecessor.successes, with_predecessor.events) as success_rate_low,
    wilson_high(with_predecessor.successes, with_predecessor.events) as success_rate_high,
    coalesce(machine_counts.machines, 0) as machines,
    coalesce(machine_counts.units, 0) as units,
    coalesce(machine_counts.unit_failures, 0) as unit_failures,
    coalesce(ci.events, 0) as ci_events,
    coalesce(ci.successes, 0) as ci_successes,
    coalesce(ci.failures, 0) as ci_failures,
    rate(ci.successes, ci.events) as ci_success_rate,
    with_predecessor.predecessor_sha
from commits
left join with_predecessor on with_predecessor.commit_sha = commits.commit_sha
left join machine_counts on machine_counts.commit_sha = commits.commit_sha
left join ci on ci.commit_sha = commits.commit_sha
