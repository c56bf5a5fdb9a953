-- grain: component; counted events of CI, also those of the given commits alone
select
    component,
    count(*) as events,
    count(*) filter (where outcome = 'failure') as failures,
    count(*) filter (where list_contains($commits, coalesce(commit_sha, ''))) as commit_events,
    count(*) filter (where outcome = 'failure' and list_contains($commits, coalesce(commit_sha, ''))) as commit_failures
from staging.installer_events
where counted
    and event_ts >= $start_ts
    and event_ts < $end_ts
    and environment = 'ci'
    and list_contains($components, component)
group by component
order by component
