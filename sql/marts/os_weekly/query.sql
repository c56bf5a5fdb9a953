-- grain: week_start, environment, os_family, os_release
with event_counts as (
    select
        cast(date_trunc('week', event_date) as date) as week_start,
        environment,
        os_family,
        os_release,
        sum(events) as events,
        sum(successes) as successes,
        sum(failures) as failures,
        sum(installations) as installations
    from marts.os_daily
    where event_date between $first_day and $last_day
    group by cast(date_trunc('week', event_date) as date), environment, os_family, os_release
),

machine_weeks as (
    select distinct
        cast(date_trunc('week', event_date) as date) as week_start,
        environment,
        os_family,
        os_release,
        machine_key
    from staging.machine_days
    where event_date between $first_day and $last_day
        and tries > 0
),

machine_counts as (
    select
        week_start,
        environment,
        os_family,
        os_release,
        count(*) as machines
    from machine_weeks
    group by week_start, environment, os_family, os_release
)

select
    event_counts.week_start,
    event_counts.environment,
    event_counts.os_family,
    event_counts.os_release,
    event_counts.events,
    event_counts.successes,
    event_counts.failures,
    rate(event_counts.successes, event_counts.events) as success_rate,
    wilson_low(event_counts.successes, event_counts.events) as success_rate_low,
    wilson_high(event_counts.successes, event_counts.events) as success_rate_high,
    coalesce(machine_counts.machines, 0) as machines,
    event_counts.installations
from event_counts
left join machine_counts
    on machine_counts.week_start = event_counts.week_start
    and machine_counts.environment = event_counts.environment
    and machine_counts.os_family = event_counts.os_family
    and machine_counts.os_release = event_counts.os_release
