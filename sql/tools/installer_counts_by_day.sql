-- grain: event_date; days of the span with counted events
select
    event_date,
    sum(events) as events,
    sum(failures) as failures
from system_daily
where event_date between $first and $last
    and ($environment = 'all' or environment = $environment)
    and ($component is null or component = $component)
    and ($architecture is null or architecture = $architecture)
    and ($family is null or os_family = $family)
    and ($release is null or os_release = $release)
group by event_date
