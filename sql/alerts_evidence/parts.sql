-- grain: part, name, detail; counted events of an alert's window ("now") and of what it is held against ("other")
-- Lists: null is all. The parts: all, component, system (OS release and architecture), os_release, architecture,
-- error_type (of failures only); the twelve with most failures of each part, and how many have any.
with now_events as (
    select
        component,
        os_release,
        architecture,
        coalesce(error_type, '') as error_type,
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
),

-- the other side may be a week of everything: counted once by all parts together, then added up
cells as (
    select
        'now' as side,
        component,
        os_release,
        architecture,
        error_type,
        outcome,
        count(*) as events
    from now_events
    group by component, os_release, architecture, error_type, outcome
    union all
    select
        'other' as side,
        component,
        os_release,
        architecture,
        coalesce(error_type, '') as error_type,
        outcome,
        count(*) as events
    from staging.installer_events
    where counted
        and event_ts >= $other_start
        and event_ts < $other_end
        and list_contains($environments, environment)
        and ($other_components is null or list_contains($other_components, component))
        and ($other_not_architectures is null or not list_contains($other_not_architectures, architecture))
        and ($other_commits is null or list_contains($other_commits, coalesce(commit_sha, '')))
    group by component, os_release, architecture, coalesce(error_type, ''), outcome
),

named as (
    select 'all' as part, '' as name, '' as detail, side, outcome, events from cells
    union all
    select 'component' as part, component as name, '' as detail, side, outcome, events from cells
    union all
    select 'system' as part, os_release as name, architecture as detail, side, outcome, events from cells
    union all
    select 'os_release' as part, os_release as name, '' as detail, side, outcome, events from cells
    union all
    select 'architecture' as part, architecture as name, '' as detail, side, outcome, events from cells
    union all
    select 'error_type' as part, error_type as name, '' as detail, side, outcome, events from cells
    where outcome = 'failure'
),

sums as (
    select
        part,
        name,
        detail,
        coalesce(sum(events) filter (where side = 'now'), 0) as events,
        coalesce(sum(events) filter (where side = 'now' and outcome = 'failure'), 0) as failures,
        coalesce(sum(events) filter (where side = 'other'), 0) as other_events,
        coalesce(sum(events) filter (where side = 'other' and outcome = 'failure'), 0) as other_failures
    from named
    group by part, name, detail
),

machines as (
    select
        count(distinct machine) as machines,
        count(distinct case when outcome = 'failure' then machine end) as machines_failing
    from now_events
),

ranked as (
    select
        sums.*,
        count(*) filter (where failures > 0) over (partition by part) as failing,
        row_number() over (
            partition by part
            order by failures desc, events desc, other_failures desc, name, detail
        ) as place
    from sums
    where part = 'all' or events > 0
)

select
    ranked.part,
    ranked.name,
    ranked.detail,
    cast(ranked.events as bigint) as events,
    cast(ranked.failures as bigint) as failures,
    cast(ranked.other_events as bigint) as other_events,
    cast(ranked.other_failures as bigint) as other_failures,
    ranked.failing,
    machines.machines,
    machines.machines_failing
from ranked
cross join machines
where ranked.place <= 12
order by ranked.part, ranked.place
