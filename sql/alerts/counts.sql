-- grain: component; counted events of a stretch of time
select
    component,
    count(*) as events,
    count(*) filter (where outcome = 'failure') as failures
from staging.installer_events
where counted
    and environment = $environment
    and event_ts >= $start_ts
    and event_ts < $end_ts
group by component
order by component
