-- grain: part, component, is_now; counts of two spans that follow each other; units are first tries of a day
-- sums of counts are cast since wider numbers cost more to read
select
    case when $by = 'environment' then environment else '' end as part,
    component,
    event_date >= $first as is_now,
    cast(sum(events) as bigint) as events,
    cast(sum(failures) as bigint) as failures,
    cast(sum(units) as bigint) as units,
    cast(sum(unit_failures) as bigint) as unit_failures,
    max(machines_failing) as machines_failing
from component_daily
where event_date between $before_first and $last
    and ($environment = 'all' or environment = $environment)
    and ($component is null or component = $component)
group by
    part,
    component,
    is_now
