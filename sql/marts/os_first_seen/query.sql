-- grain: environment, os_family, os_release; systems that have counted events
with sightings as (
    select
        environment,
        os_family,
        os_release,
        min(first_ts) as first_seen,
        min(event_date) as first_date,
        sum(events) as events
    from staging.events_daily
    where counted
    group by environment, os_family, os_release
)

select
    sightings.environment,
    sightings.os_family,
    sightings.os_release,
    sightings.first_seen,
    sightings.first_date,
    sightings.events,
    coalesce(first_week.machines, 0) as machines_first_week
from sightings
left join marts.os_weekly as first_week
    on first_week.week_start = cast(date_trunc('week', sightings.first_date) as date)
    and first_week.environment = sightings.environment
    and first_week.os_family = sightings.os_family
    and first_week.os_release = sightings.os_release
