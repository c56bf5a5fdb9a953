-- grain: component, error_type; failures of one span
-- sums of counts are cast since wider numbers cost more to read
select
    component,
    error_type,
    cast(sum(failures) as bigint) as failures
from error_daily
where event_date between $first and $last
    and ($environment = 'all' or environment = $environment)
    and ($component is null or component = $component)
group by
    component,
    error_type
