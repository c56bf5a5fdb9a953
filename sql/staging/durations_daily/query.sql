-- grain: event_date, environment, component, architecture, duration_s; counted successes that say how long they took
select
    event_date,
    environment,
    component,
    architecture,
    duration_s,
    count(*) as events
from staging.installer_events
where event_date between $first_day and $last_day
    and counted
    and outcome = 'success'
    and duration_s is not null
group by event_date, environment, component, architecture, duration_s
