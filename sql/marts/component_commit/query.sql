-- grain: environment, commit_sha, component (or all); over the commit's life
with machine_units as (
    select
        environment,
        commit_sha,
        component,
        machine_key,
        sum(tries) as tries,
        sum(failures) as failures,
        min(first_ts) as first_ts,
        min(case when first_outcome = 'failure' then first_ts end) as first_failure_ts
    from staging.machine_commit_days
    where event_date between $first_day and $last_day
        and commit_sha in (select touched.commit_sha from ledger.touched_commits as touched)
    group by environment, commit_sha, component, machine_key
),

counts as (
    select
        environment,
        commit_sha,
        case when grouping(component) = 1 then 'all' else component end as component,
        sum(tries) as events,
        sum(tries) - sum(failures) as successes,
        sum(failures) as failures,
        count(distinct machine_key) as machines,
        count(distinct case when failures > 0 then machine_key end) as machines_failing,
        count(*) as units,
        count(*) filter (where first_failure_ts = first_ts) as unit_failures
    from machine_units
    group by grouping sets ((environment, commit_sha, component), (environment, commit_sha))
)

select
    environment,
    commit_sha,
    component,
    events,
    successes,
    failures,
    rate(successes, events) as success_rate,
    wilson_low(successes, events) as success_rate_low,
    wilson_high(successes, events) as success_rate_high,
    machines,
    machines_failing,
    units,
    unit_failures
from counts
