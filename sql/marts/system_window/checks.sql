-- #fail systems_add_up_to_components: all counts of a component and architecture are the sums over its systems
with by_system as (
    select
        window_days,
        environment,
        component,
        architecture,
        sum(events) as events,
        sum(failures) as failures,
        sum(machines) as machines,
        sum(machines_failing) as machines_failing,
        sum(units) as units,
        sum(unit_failures) as unit_failures
    from marts.system_window
    group by window_days, environment, component, architecture
),

by_component as (
    select
        window_days,
        environment,
        component,
        architecture,
        events,
        failures,
        machines,
        machines_failing,
        units,
        unit_failures
    from marts.component_window
    where architecture <> 'all'
)

select coalesce(by_system.window_days, by_component.window_days) as window_days
from by_system
full join by_component
    on by_component.window_days = by_system.window_days
    and by_component.environment = by_system.environment
    and by_component.component = by_system.component
    and by_component.architecture = by_system.architecture
where by_system.events is distinct from by_component.events
    or by_system.failures is distinct from by_component.failures
    or by_system.machines is distinct from by_component.machines
    or by_system.machines_failing is distinct from by_component.machines_failing
    or by_system.units is distinct from by_component.units
    or by_system.unit_failures is distinct from by_component.unit_failures;
