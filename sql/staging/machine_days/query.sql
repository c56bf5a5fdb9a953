-- grain: event_date, environment, machine_key, component; what one machine did with one component on one day
with machine_events as (
    select
        event_date,
        environment,
        -- without a visitor id each event is its own unit
        coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16)) as machine_key,
        component,
        outcome,
        counted,
        is_run_start,
        event_ts,
        architecture,
        os_family,
        os_release,
        commit_sha,
        source,
        site_id,
        event_id
    from staging.installer_events
    where event_date between $first_day and $last_day
        and (left_out_reason is null or left_out_reason not in ('vanished', 'out_of_scope', 'duplicate_sender_id', 'test'))
),

-- the first counted try comes first; where there is none, the first row
ordered as (
    select
        machine_events.*,
        row_number() over (
            partition by event_date, environment, machine_key, component
            order by case when counted then 0 else 1 end, event_ts, source, site_id, event_id
        ) as place
    from machine_events
)

select
    event_date,
    environment,
    machine_key,
    component,
    max(case when place = 1 and counted then outcome end) as first_outcome,
    max(case when place = 1 and counted then event_ts end) as first_ts,
    count(*) filter (where counted) as tries,
    count(*) filter (where counted and outcome = 'failure') as failures,
    count(*) filter (where is_run_start) as run_starts,
    max(case when place = 1 then architecture end) as architecture,
    max(case when place = 1 then os_release end) as os_release,
    max(case when place = 1 then commit_sha end) as commit_sha,
    max(case when place = 1 then os_family end) as os_family,
    count(*) as events
from ordered
group by event_date, environment, machine_key, component
