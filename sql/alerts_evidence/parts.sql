-- grain: part, name, detail; counted events of an alert's window ("now") and of what it is held against ("other")
-- $... lists: null = all. The parts: all, component, system (OS release and architecture), os_release, architecture,
-- error_type (of failures only); the twelve with most failures of each part, and how many there are.
with sides as (
    select
        'now' as side,
        component,
        os_release,
        architecture,
        error_type,
        outcome,
        coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16)) as machine
    from staging.installer_events
    where counted
        and event_ts >= $now_start
        and event_ts < $now_end
        and list_contains($environments, environment)
        and ($now_components is null or list_contains($now_components, component))
        and ($now_architectures is null or list_contains($now_architectures, architecture))
        and ($now_commits is null or list_contains($now_commits, coalesce(commit_sha, '')))
    union all
    select
        'other' as side,
        component,
        os_release,
        architecture,
        error_type,
        outcome,
        cast(null as varchar) as machine
    from staging.installer_events
    where counted
        and event_ts >= $other_start
        and event_ts < $other_end
        and list_contains($environments, environment)
        and ($other_components is null or list_contains($other_components, component))
        and ($other_not_architectures is null or not list_contains($other_not_architectures, architecture))
        and ($other_commits is null or list_contains($other_commits, coalesce(commit_sha, '')))
),

named as (
    select 'all' as part, '' as name, '' as detail, side, outcome, machine from sides
    union all
    select 'component' as part, component as name, '' as detail, side, outcome, machine from sides
    union all
    select 'system' as part, os_release as name, architecture as detail, side, outcome, machine from sides
    union all
    select 'os_release' as part, os_release as name, '' as detail, side, outcome, machine from sides
    union all
    select 'architecture' as part, architecture as name, '' as detail, side, outcome, machine from sides
    union all
    select 'error_type' as part, coalesce(error_type, '') as name, '' as detail, side, outcome, machine
    from sides
    where outcome = 'failure'
),

counted as (
    select
        part,
        name,
        detail,
        count(*) filter (where side = 'now') as events,
        count(*) filter (where side = 'now' and outcome = 'failure') as failures,
        count(*) filter (where side = 'other') as other_events,
        count(*) filter (where side = 'other' and outcome = 'failure') as other_failures,
        count(distinct machine) as machines,
        count(distinct case when outcome = 'failure' then machine end) as machines_failing
    from named
    group by part, name, detail
),

ranked as (
    select
        counted.*,
        count(*) filter (where failures > 0) over (partition by part) as failing,
        row_number() over (
            partition by part
            order by failures desc, events desc, other_failures desc, name, detail
        ) as place
    from counted
    where part = 'all' or events > 0
)

select
    part,
    name,
    detail,
    events,
    failures,
    other_events,
    other_failures,
    machines,
    machines_failing,
    failing
from ranked
where place <= 12
order by part, place
