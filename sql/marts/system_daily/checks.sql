-- #fail systems_add_up_to_components: events and machines of a component and day are the sums over its systems
with by_system as (
    select event_date, environment, component, sum(events) as events, sum(machines) as machines
    from marts.system_daily
    where event_date between $first_day and $last_day
    group by event_date, environment, component
),

by_component as (
    select event_date, environment, component, events, machines
    from marts.component_daily
    where event_date between $first_day and $last_day
)

select coalesce(by_system.event_date, by_component.event_date) as event_date
from by_system
full join by_component
    on by_component.event_date = by_system.event_date
    and by_component.environment = by_system.environment
    and by_component.component = by_system.component
where by_system.events is distinct from by_component.events
    or by_system.machines is distinct from by_component.machines;
