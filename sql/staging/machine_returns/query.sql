-- grain: event_date, level, environment, architecture, os_family, os_release, component, before_date, failed_before_date;
-- machines with tries on a day, by when they were last seen before: a window counts those not seen since it began
with wanted as (
    select distinct machine_key
    from staging.machine_days
    where event_date between $first_day and $last_day
        and tries > 0
),

-- the longest window has 90 days, so that no earlier day than the 89th before matters
seen as (
    select
        machine_day.event_date,
        machine_day.environment,
        machine_day.architecture,
        machine_day.os_family,
        machine_day.os_release,
        machine_day.component,
        machine_day.machine_key,
        machine_day.first_outcome,
        machine_day.failures
    from staging.machine_days as machine_day
    where machine_day.event_date between cast($first_day as date) - 89 and $last_day
        and machine_day.tries > 0
        and machine_day.machine_key in (select wanted.machine_key from wanted)
),

-- a machine is known again by its key, which holds family and architecture but not the release; only at level system
-- it is another one with another release
machines_of_day as (
    select
        'component' as level,
        event_date,
        environment,
        architecture,
        os_family,
        os_release,
        component,
        machine_key,
        cast(null as varchar) as known_release,
        first_outcome = 'failure' as is_first_failed,
        failures > 0 as is_failing
    from seen

    union all

    select
        'architecture' as level,
        event_date,
        environment,
        architecture,
        os_family,
        min(os_release) as os_release,
        cast(null as varchar) as component,
        machine_key,
        cast(null as varchar) as known_release,
        false as is_first_failed,
        sum(failures) > 0 as is_failing
    from seen
    group by event_date, environment, architecture, os_family, machine_key

    union all

    select
        'system' as level,
        event_date,
        environment,
        cast(null as varchar) as architecture,
        os_family,
        os_release,
        cast(null as varchar) as component,
        machine_key,
        os_release as known_release,
        false as is_first_failed,
        sum(failures) > 0 as is_failing
    from seen
    group by event_date, environment, os_family, os_release, machine_key
),

placed as (
    select
        machines_of_day.*,
        lag(event_date) over (
            partition by level, environment, architecture, component, machine_key, known_release
            order by event_date
        ) as before_day,
        max(case when is_failing then event_date end) over (
            partition by level, environment, architecture, component, machine_key, known_release
            order by event_date
            rows between unbounded preceding and 1 preceding
        ) as failed_before_day
    from machines_of_day
),

-- a part of several days looks further back for its later ones; each day looks back 89 days and no more
within_reach as (
    select
        placed.*,
        case when before_day >= event_date - 89 then before_day end as before_date,
        case when failed_before_day >= event_date - 89 then failed_before_day end as failed_before_date
    from placed
    where event_date between $first_day and $last_day
)

select
    event_date,
    level,
    environment,
    architecture,
    os_family,
    os_release,
    component,
    before_date,
    failed_before_date,
    count(*) as machines,
    count(*) filter (where is_first_failed) as first_failures,
    count(*) filter (where is_failing) as machines_failing
from within_reach
group by
    event_date, level, environment, architecture, os_family, os_release, component, before_date, failed_before_date
