-- #fail machines_try: where something was counted, at least one machine tried, and no more failed than tried
select window_days, environment, architecture, component
from marts.component_window
where machines = 0
    or machines_failing > machines
    or unit_failures > units
    or units > events
    or machines > units;

-- #fail all_is_the_sum: events and units of all components and architectures are the sums of the parts
with parts as (
    select window_days, environment, sum(events) as events, sum(units) as units
    from marts.component_window
    where architecture <> 'all'
        and component <> 'all'
    group by window_days, environment
)

select whole.window_days, whole.environment
from marts.component_window as whole
left join parts
    on parts.window_days = whole.window_days
    and parts.environment = whole.environment
where whole.architecture = 'all'
    and whole.component = 'all'
    and (whole.events is distinct from parts.events or whole.units is distinct from parts.units);
