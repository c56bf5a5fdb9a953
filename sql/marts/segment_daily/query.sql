-- grain: event_date, environment, os_family, os_release, architecture
with events_of_day as (
    select
        event_date,
        environment,
        os_family,
        os_release,
        architecture,
        sum(case when counted then events else 0 end) as events,
        sum(case when counted and outcome = 'success' then events else 0 end) as successes,
        sum(case when counted and outcome = 'failure' then events else 0 end) as failures,
        sum(case when not counted and outcome = 'unknown' then events else 0 end) as unknown_events
    from staging.events_daily
    where event_date between $first_day and $last_day
    group by event_date, environment, os_family, os_release, architecture
),

machines_of_day as (
    select
        event_date,
        environment,
        os_family,
        os_release,
        architecture,
        machine_key,
        greatest(1, sum(run_starts)) as installations
    from staging.machine_days
    where event_date between $first_day and $last_day
    group by event_date, environment, os_family, os_release, architecture, machine_key
),

installations_of_day as (
    select
        event_date,
        environment,
        os_family,
        os_release,
        architecture,
        sum(installations) as installations
    from machines_of_day
    group by event_date, environment, os_family, os_release, architecture
)

select
    events_of_day.event_date,
    events_of_day.environment,
    events_of_day.os_family,
    events_of_day.os_release,
    events_of_day.architecture,
    events_of_day.events,
    events_of_day.successes,
    events_of_day.failures,
    events_of_day.unknown_events,
    rate(events_of_day.successes, events_of_day.events) as success_rate,
    wilson_low(events_of_day.successes, events_of_day.events) as success_rate_low,
    wilson_high(events_of_day.successes, events_of_day.events) as success_rate_high,
    coalesce(installations_of_day.installations, 0) as installations
from events_of_day
left join installations_of_day
    on installations_of_day.event_date = events_of_day.event_date
    and installations_of_day.environment = events_of_day.environment
    and installations_of_day.os_family = events_of_day.os_family
    and installations_of_day.os_release = events_of_day.os_release
    and installations_of_day.architecture = events_of_day.architecture
