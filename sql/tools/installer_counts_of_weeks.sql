-- grain: part, component, is_now; counts of an ISO week and the one before; units are first tries of the week
-- sums of counts are cast since wider numbers cost more to read
select
    case when $by = 'architecture' then architecture else '' end as part,
    component,
    week_start >= $first as is_now,
    cast(sum(events) as bigint) as events,
    cast(sum(failures) as bigint) as failures,
    cast(sum(units) as bigint) as units,
    cast(sum(unit_failures) as bigint) as unit_failures,
    max(machines_failing) as machines_failing
from component_weekly
where week_start in ($first, $before_first)
    and component <> 'all'
    and ($environment = 'all' or environment = $environment)
    and ($component is null or component = $component)
    and case
        when $architecture is not null then architecture = $architecture
        when $by = 'architecture' then architecture <> 'all'
        else architecture = 'all'
    end
group by
    part,
    component,
    is_now
