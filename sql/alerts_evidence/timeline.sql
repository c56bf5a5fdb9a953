-- grain: slot; counted events and failures of an alert's scope in slots of $slot_seconds from $start_ts on
select
    cast(floor((epoch(event_ts) - epoch($start_ts)) / $slot_seconds) as bigint) as slot,
    count(*) as events,
    count(*) filter (where outcome = 'failure') as failures
from staging.installer_events
where counted
    and event_ts >= $start_ts
    and event_ts < $end_ts
    and list_contains($environments, environment)
    and ($components is null or list_contains($components, component))
    and ($architectures is null or list_contains($architectures, architecture))
    and ($commits is null or list_contains($commits, coalesce(commit_sha, '')))
group by slot
order by slot
