-- grain: commit_sha; counted events of an alert's scope by commit
select
    commit_sha,
    count(*) as events,
    count(*) filter (where outcome = 'failure') as failures
from staging.installer_events
where counted
    and event_ts >= $start_ts
    and event_ts < $end_ts
    and list_contains($environments, environment)
    and ($components is null or list_contains($components, component))
    and ($architectures is null or list_contains($architectures, architecture))
    and list_contains($commits, coalesce(commit_sha, ''))
group by commit_sha
order by commit_sha
