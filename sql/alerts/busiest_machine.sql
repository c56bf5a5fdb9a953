-- counted events of a stretch of time, and a bound on those of a single machine: tries of a machine at a component on a
-- day, times components and days
with stretch as (
    select count(*) as events
    from staging.installer_events
    where counted
        and environment = $environment
        and event_ts >= $start_ts
        and event_ts < $end_ts
),

days as (
    select max(tries) * count(distinct component) * count(distinct event_date) as at_most
    from staging.machine_days
    where tries > 0
        and environment = $environment
        and event_date between $first_day and $last_day
)

select
    stretch.events,
    coalesce(days.at_most, 0) as at_most
from stretch
cross join days
