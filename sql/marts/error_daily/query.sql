-- grain: event_date, environment, component, error_type; failures only
select
    event_date,
    environment,
    component,
    coalesce(error_type, 'not_reported') as error_type,
    sum(events) as failures,
    coalesce(error_type, 'not_reported') = 'already_exists' as often_harmless
from staging.events_daily
where event_date between $first_day and $last_day
    and counted
    and outcome = 'failure'
group by event_date, environment, component, coalesce(error_type, 'not_reported')
