-- grain: event_date, source, environment, component, architecture, os_family, os_release, commit_sha, outcome,
-- error_type, confidence, counted; rows in scope, neither vanished nor sent again
select
    event_date,
    source,
    environment,
    component,
    architecture,
    os_family,
    os_release,
    commit_sha,
    outcome,
    error_type,
    confidence,
    count(*) as events,
    min(event_ts) as first_ts,
    max(event_ts) as last_ts,
    counted
from staging.installer_events
where event_date between $first_day and $last_day
    and (left_out_reason is null or left_out_reason not in ('vanished', 'out_of_scope', 'duplicate_sender_id'))
group by
    event_date, source, environment, component, architecture, os_family, os_release, commit_sha, outcome, error_type,
    confidence, counted
