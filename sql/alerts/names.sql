-- what the events of a stretch of time are called, so that they can be read as codes
select distinct
    component,
    architecture,
    commit_sha
from staging.installer_events
where counted
    and environment = $environment
    and event_ts >= $start_ts
    and event_ts < $end_ts
    and ($component is null or component = $component)
order by component, architecture, commit_sha
