-- grain: environment, commit_sha, component (or all); over the commit's life
with tries as (
    select
        environment,
        commit_sha,
        component,
        -- without a visitor id each event is its own unit
        coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16)) as machine_key,
        outcome,
        event_ts,
        source,
        site_id,
        event_id
    from staging.installer_events
    where event_date between $first_day and $last_day
        and counted
        and commit_sha in (select touched.commit_sha from ledger.touched_commits as touched)
),

numbered as (
    select
        environment,
        commit_sha,
        component,
        machine_key,
        outcome,
        row_number() over (
            partition by environment, commit_sha, component, machine_key
            order by event_ts, source, site_id, event_id
        ) as try_number
    from tries
),

machine_units as (
    select
        environment,
        commit_sha,
        component,
        machine_key,
        count(*) as tries,
        count(*) filter (where outcome = 'failure') as failures,
        count(*) filter (where try_number = 1 and outcome = 'failure') as unit_failures
    from numbered
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
        sum(unit_failures) as unit_failures
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
