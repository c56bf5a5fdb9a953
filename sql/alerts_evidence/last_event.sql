-- grain: one row; the newest counted event before $end_ts, null where there is none in the window
select max(event_ts) as event_ts
from staging.installer_events
where counted
    and event_ts >= $start_ts
    and event_ts < $end_ts
    and list_contains($environments, environment)
