-- the newest counted event of an environment before an instant
select max(event_ts) as last_ts
from staging.installer_events
where counted
    and environment = $environment
    and event_ts < $before_ts
