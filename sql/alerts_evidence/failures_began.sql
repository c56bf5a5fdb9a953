-- grain: at most one row; the first failure after the last run of at least $run successes of the alert's scope
with scoped as (
    select
        event_ts,
        source,
        site_id,
        event_id,
        component,
        outcome,
        commit_sha,
        os_release,
        architecture,
        row_number() over (order by event_ts, source, site_id, event_id) as place
    from staging.installer_events
    where counted
        and event_ts >= $start_ts
        and event_ts < $end_ts
        and list_contains($environments, environment)
        and ($components is null or list_contains($components, component))
        and ($architectures is null or list_contains($architectures, architecture))
),

failures as (
    select
        scoped.*,
        place - coalesce(lag(place) over (order by place), 0) - 1 as successes_before
    from scoped
    where outcome = 'failure'
)

select
    event_ts,
    component,
    commit_sha,
    os_release,
    architecture
from failures
where successes_before >= $run
order by place desc
limit 1
