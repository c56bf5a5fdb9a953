-- grain: environment, commit_sha, component; over the commit's life
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
    group by environment, commit_sha, component, machine_key
),

counts as (
    select
        environment,
        commit_sha,
        component,
        sum(tries) as events,
        sum(tries) - sum(failures) as successes,
        sum(failures) as failures,
        count(*) as machines,
        count(*) filter (where failures > 0) as machines_failing,
        count(*) as units,
        count(*) filter (where first_failure_ts = first_ts) as unit_failures
    from machine_units
    group by environment, commit_sha, component
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
