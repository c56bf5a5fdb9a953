-- grain: level, name, is_now; one component: by day, by architecture, by release, over two spans that follow each other
with chosen as (
    select
        event_date,
        architecture,
        os_release,
        event_date >= $first as is_now,
        events,
        failures
    from system_daily
    where event_date between $before_first and $last
        and ($environment = 'all' or environment = $environment)
        and component = $component
)

select
    case
        when grouping(event_date) = 0 then 'day'
        when grouping(architecture) = 0 then 'architecture'
        else 'os_release'
    end as level,
    coalesce(cast(event_date as varchar), architecture, os_release) as name,
    is_now,
    sum(events) as events,
    sum(failures) as failures
from chosen
group by grouping sets (
    (is_now, event_date),
    (is_now, architecture),
    (is_now, os_release)
)
