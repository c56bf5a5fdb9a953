-- grain: part, component, is_now; counts of the 30 days that end with a month and the 30 before, with their first tries
-- sums of counts are cast since wider numbers cost more to read
select
    case $by
        when 'architecture' then architecture
        when 'os' then os_family
        when 'os_release' then os_release
        when 'environment' then environment
        else ''
    end as part,
    component,
    system_monthly.part = 'last' as is_now,
    cast(sum(events) as bigint) as events,
    cast(sum(failures) as bigint) as failures,
    cast(sum(units) as bigint) as units,
    cast(sum(unit_failures) as bigint) as unit_failures,
    cast(sum(machines_failing) as bigint) as machines_failing
from system_monthly
where month = date_trunc('month', cast($last as date))
    and component <> 'all'
    and ($environment = 'all' or environment = $environment)
    and ($component is null or component = $component)
    and ($architecture is null or architecture = $architecture)
    and ($family is null or os_family = $family)
    and ($release is null or os_release = $release)
group by
    1,
    component,
    is_now
