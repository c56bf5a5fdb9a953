-- grain: component, error_type, is_now; failures of two spans that follow each other
-- sums of counts are cast since wider numbers cost more to read
select
    component,
    error_type,
    event_date >= $first as is_now,
    cast(sum(failures) as bigint) as failures,
    bool_or(often_harmless) as often_harmless
from error_daily
where event_date between $before_first and $last
    and ($environment = 'all' or environment = $environment)
    and ($component is null or component = $component)
group by
    component,
    error_type,
    is_now
