-- grain: event_date, component; first counted tries, one a machine, and those that failed
select
    event_date - date '1970-01-01' as day,
    component,
    count(*) as units,
    count(*) filter (where first_outcome = 'failure') as failures
from staging.machine_days
where tries > 0
    and environment = $environment
    and event_date between $first_day and $last_day
group by event_date, component
order by day, component
