-- #fail systems_add_up_to_kinds: the failures of a kind of error are the sum over its systems
with by_system as (
    select window_days, environment, component, error_type, sum(failures) as failures
    from marts.error_system_window
    group by window_days, environment, component, error_type
),

kinds as (
    select window_days, environment, component, error_type, failures
    from marts.error_window
)

select coalesce(by_system.window_days, kinds.window_days) as window_days
from by_system
full join kinds
    on kinds.window_days = by_system.window_days
    and kinds.environment = by_system.environment
    and kinds.component = by_system.component
    and kinds.error_type = by_system.error_type
where by_system.failures is distinct from kinds.failures;
