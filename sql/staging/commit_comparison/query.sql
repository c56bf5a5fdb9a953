-- grain: commit_sha, component (or all); the first 24 hours of a commit beside what came before it
with baselines as (
    select
        commit_sha,
        place,
        baseline_sha,
        deployed_at,
        compared_until,
        is_final
    from staging.commit_baselines
    where commit_sha in (select touched.commit_sha from ledger.touched_commits as touched)
),

deployments as (
    select
        commit_sha,
        baseline_sha as predecessor_sha,
        deployed_at,
        compared_until,
        is_final
    from baselines
    where place = 1
),

tries as (
    select
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
        and environment = 'production'
        and commit_sha is not null
),

now_tries as (
    select
        deployments.commit_sha,
        tries.component,
        tries.machine_key,
        tries.outcome,
        row_number() over (
            partition by deployments.commit_sha, tries.component, tries.machine_key
            order by tries.event_ts, tries.source, tries.site_id, tries.event_id
        ) as try_number
    from deployments
    inner join tries
        on tries.commit_sha = deployments.commit_sha
        and tries.event_ts >= deployments.deployed_at
        and tries.event_ts < deployments.compared_until
),

now_machines as (
    select
        commit_sha,
        component,
        machine_key,
        count(*) as events,
        count(*) filter (where outcome = 'failure') as failures,
        count(*) filter (where try_number = 1 and outcome = 'failure') as unit_failures
    from now_tries
    group by commit_sha, component, machine_key
),

now_counts as (
    select
        commit_sha,
        case when grouping(component) = 1 then 'all' else component end as component,
        sum(events) as events,
        sum(failures) as failures,
        count(*) as units,
        sum(unit_failures) as unit_failures,
        count(distinct case when unit_failures > 0 then machine_key end) as machines_failing
    from now_machines
    group by grouping sets ((commit_sha, component), (commit_sha))
),

-- the previous commit in the week before and beside the new one
predecessor_counts as (
    select
        deployments.commit_sha,
        case when grouping(tries.component) = 1 then 'all' else tries.component end as component,
        count(*) as events,
        count(*) filter (where tries.outcome = 'failure') as failures
    from deployments
    inner join tries
        on tries.commit_sha = deployments.predecessor_sha
        and tries.event_ts >= deployments.deployed_at - interval 7 days
        and tries.event_ts < deployments.compared_until
    group by grouping sets ((deployments.commit_sha, tries.component), (deployments.commit_sha))
),

before_tries as (
    select
        baselines.commit_sha,
        baselines.place,
        tries.component,
        tries.machine_key,
        tries.outcome,
        tries.event_ts,
        tries.source,
        tries.site_id,
        tries.event_id
    from baselines
    inner join tries
        on tries.commit_sha = baselines.baseline_sha
        and tries.event_ts >= baselines.deployed_at - interval 7 days
        and tries.event_ts < baselines.deployed_at
),

-- how many units there are with the previous commit, with the one before it too, and so on
reached as (
    select
        commit_sha,
        place,
        sum(count(*)) over (partition by commit_sha order by place) as units
    from (
        select
            commit_sha,
            min(place) as place
        from before_tries
        group by commit_sha, component, machine_key
    ) as first_places
    group by commit_sha, place
),

depths as (
    select
        commit_sha,
        coalesce(min(case when units >= 30 then place end), max(place)) as depth
    from reached
    group by commit_sha
),

before_units as (
    select
        before_tries.commit_sha,
        before_tries.place,
        before_tries.component,
        before_tries.outcome
    from before_tries
    inner join depths
        on depths.commit_sha = before_tries.commit_sha
        and before_tries.place <= depths.depth
    qualify row_number() over (
        partition by before_tries.commit_sha, before_tries.component, before_tries.machine_key
        order by before_tries.event_ts, before_tries.source, before_tries.site_id, before_tries.event_id
    ) = 1
),

before_counts as (
    select
        commit_sha,
        case when grouping(component) = 1 then 'all' else component end as component,
        count(*) as units,
        count(*) filter (where outcome = 'failure') as unit_failures,
        count(distinct place) as commits
    from before_units
    group by grouping sets ((commit_sha, component), (commit_sha))
),

parts as (
    select commit_sha, component from now_counts
    union
    select commit_sha, component from predecessor_counts
    union
    select commit_sha, component from before_counts
    union
    select commit_sha, 'all' as component from deployments
)

select
    parts.commit_sha,
    parts.component,
    deployments.predecessor_sha,
    deployments.deployed_at,
    deployments.compared_until,
    deployments.is_final,
    coalesce(now_counts.events, 0) as events,
    coalesce(now_counts.events, 0) - coalesce(now_counts.failures, 0) as successes,
    coalesce(now_counts.failures, 0) as failures,
    coalesce(now_counts.units, 0) as units,
    coalesce(now_counts.unit_failures, 0) as unit_failures,
    coalesce(now_counts.machines_failing, 0) as machines_failing,
    coalesce(predecessor_counts.events, 0) as predecessor_events,
    coalesce(predecessor_counts.events, 0) - coalesce(predecessor_counts.failures, 0) as predecessor_successes,
    coalesce(before_counts.units, 0) as baseline_units,
    coalesce(before_counts.unit_failures, 0) as baseline_unit_failures,
    coalesce(before_counts.commits, 0) as baseline_commits
from parts
inner join deployments on deployments.commit_sha = parts.commit_sha
left join now_counts
    on now_counts.commit_sha = parts.commit_sha
    and now_counts.component = parts.component
left join predecessor_counts
    on predecessor_counts.commit_sha = parts.commit_sha
    and predecessor_counts.component = parts.component
left join before_counts
    on before_counts.commit_sha = parts.commit_sha
    and before_counts.component = parts.component
