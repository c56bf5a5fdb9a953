-- #fail kinds_add_up_to_failures: the kinds of error of a component and day are its failures
with kinds as (
    select event_date, environment, component, sum(failures) as failures
    from marts.error_daily
    where event_date between $first_day and $last_day
    group by event_date, environment, component
),

failing as (
    select event_date, environment, component, failures
    from marts.component_daily
    where event_date between $first_day and $last_day
        and failures > 0
)

select coalesce(kinds.event_date, failing.event_date) as event_date
from kinds
full join failing
    on failing.event_date = kinds.event_date
    and failing.environment = kinds.environment
    and failing.component = kinds.component
where kinds.failures is distinct from failing.failures;
