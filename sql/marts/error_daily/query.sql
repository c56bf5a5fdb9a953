-- grain: event_date, environment, component, error_type; failures only
select
    event_date,
    environment,
    component,
    coalesce(error_type, 'not_reported') as error_type,
    sum(events) as failures
from staging.events_daily
where counted
    and outcome = 'failure'
group by event_date, environment, component, coalesce(error_type, 'not_reported')
