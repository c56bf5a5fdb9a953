-- #fail kinds_add_up_to_failures: the kinds of error of a component and window are its failures
with kinds as (
    select window_days, environment, component, sum(failures) as failures
    from marts.error_window
    group by window_days, environment, component
),

failing as (
    select window_days, environment, component, failures
    from marts.component_window
    where architecture = 'all'
        and component <> 'all'
        and failures > 0
)

select coalesce(kinds.window_days, failing.window_days) as window_days
from kinds
full join failing
    on failing.window_days = kinds.window_days
    and failing.environment = kinds.environment
    and failing.component = kinds.component
where kinds.failures is distinct from failing.failures;
