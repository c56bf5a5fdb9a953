-- counted events of a commit in a stretch of time
select
    count(*) as events,
    count(*) filter (where outcome = 'failure') as failures
from staging.installer_events
where counted
    and environment = $environment
    and commit_sha = $commit
    and event_ts >= $start_ts
    and event_ts < $end_ts
