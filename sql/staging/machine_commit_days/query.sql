-- grain: event_date, environment, commit_sha, component, machine_key; counted tries that named a commit
with tries as (
    select
        event_date,
        environment,
        commit_sha,
        component,
        coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16)) as machine_key,
        outcome,
        event_ts,
        row_number() over (
            partition by
                event_date, environment, commit_sha, component,
                coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16))
            order by event_ts, source, site_id, event_id
        ) as place
    from staging.installer_events
    where event_date between $first_day and $last_day
        and counted
        and commit_sha is not null
)

select
    event_date,
    environment,
    commit_sha,
    component,
    machine_key,
    max(case when place = 1 then outcome end) as first_outcome,
    min(event_ts) as first_ts,
    count(*) as tries,
    count(*) filter (where outcome = 'failure') as failures
from tries
group by event_date, environment, commit_sha, component, machine_key
