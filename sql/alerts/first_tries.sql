-- grain: event_date, machine_key, component; the first counted try of each machine at each component of local days, in
-- order; component as its place in the list given
with components as (
    select
        unnest($components) as component,
        unnest(range(len($components))) as code
)

select
    epoch_us(machine_day.first_ts) as ts,
    machine_day.first_outcome = 'failure' as failed,
    components.code as component,
    hash(machine_day.machine_key) as machine,
    machine_day.event_date - date '1970-01-01' as day
from staging.machine_days as machine_day
inner join components on components.component = machine_day.component
where machine_day.tries > 0
    and machine_day.environment = $environment
    and machine_day.event_date between $first_day and $last_day
order by machine_day.first_ts, machine_day.component, machine_day.machine_key
