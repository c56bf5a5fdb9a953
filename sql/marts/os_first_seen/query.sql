-- grain: environment, os_family, os_release; systems that have counted events
with sightings as (
    select
        daily.environment,
        daily.os_family,
        daily.os_release,
        min(daily.first_ts) as first_seen,
        min(daily.event_date) as first_date,
        sum(daily.events) as events
    from staging.events_daily as daily
    where daily.counted
    group by daily.environment, daily.os_family, daily.os_release
),

machine_counts as (
    select
        machine_day.environment,
        machine_day.os_family,
        machine_day.os_release,
        count(distinct machine_day.machine_key) as machines,
        count(distinct case
            when date_trunc('week', machine_day.event_date) = date_trunc('week', sightings.first_date)
                then machine_day.machine_key
        end) as machines_first_week
    from staging.machine_days as machine_day
    inner join sightings
        on sightings.environment = machine_day.environment
        and sightings.os_family = machine_day.os_family
        and sightings.os_release = machine_day.os_release
    where machine_day.tries > 0
    group by machine_day.environment, machine_day.os_family, machine_day.os_release
)

select
    sightings.environment,
    sightings.os_family,
    sightings.os_release,
    sightings.first_seen,
    sightings.first_date,
    sightings.events,
    coalesce(machine_counts.machines, 0) as machines,
    coalesce(machine_counts.machines_first_week, 0) as machines_first_week
from sightings
left join machine_counts
    on machine_counts.environment = sightings.environment
    and machine_counts.os_family = sightings.os_family
    and machine_counts.os_release = sightings.os_release
