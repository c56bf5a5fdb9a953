-- grain: one counted event of a stretch of time, in order; names as places in the lists given
with components as (
    select
        unnest($components) as component,
        unnest(range(len($components))) as code
),

architectures as (
    select
        unnest($architectures) as architecture,
        unnest(range(len($architectures))) as code
),

commits as (
    select
        unnest($commits) as commit_sha,
        unnest(range(len($commits))) as code
)

select
    epoch_us(event.event_ts) as ts,
    event.outcome = 'failure' as failed,
    components.code as component,
    architectures.code as architecture,
    coalesce(commits.code, -1) as commit,
    -- without a visitor id each event is its own unit, as in staging.machine_days
    hash(
        coalesce(
            event.machine_key,
            'event-' || left(md5(event.source || '|' || event.site_id || '|' || event.event_id), 16)
        )
    ) as machine
from staging.installer_events as event
inner join components on components.component = event.component
inner join architectures on architectures.architecture = event.architecture
left join commits on commits.commit_sha = event.commit_sha
where event.counted
    and event.environment = $environment
    and event.event_ts >= $start_ts
    and event.event_ts < $end_ts
    and ($component is null or event.component = $component)
    and (len($of_commits) = 0 or list_contains($of_commits, event.commit_sha))
order by event.event_ts, failed, event.source, event.site_id, event.event_id
