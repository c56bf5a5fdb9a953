-- grain: event_date, component; the same where keys are not machines: each counted event is a try
select
    event_date - date '1970-01-01' as day,
    component,
    sum(events) as units,
    sum(case when outcome = 'failure' then events else 0 end) as failures
from staging.events_daily
where counted
    and environment = $environment
    and event_date between $first_day and $last_day
group by event_date, component
order by day, component
