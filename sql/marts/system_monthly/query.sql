-- grain: month, part, environment, component (or all), os_family, os_release, architecture; months that are complete
with own_months as (
    select distinct cast(date_trunc('month', event_date) as date) as month
    from marts.system_daily
    where event_date between cast($first_day as date) - 32 and $last_day
),

-- 60 days that end with a month may begin two months before
reached_months as (
    select month from own_months
    union
    select cast(month + interval 1 month as date) as month from own_months
    union
    select cast(month + interval 2 months as date) as month from own_months
),

complete_months as (
    select
        reached_months.month,
        cast(reached_months.month + interval 1 month as date) - 1 as last_date
    from reached_months
    cross join staging.product_day as product_day
    where reached_months.month between $first_day and $last_day
        and cast(reached_months.month + interval 1 month as date) - 1 <= product_day.last_complete_day
),

spread_over as (
    select month, 'last' as part, last_date - 29 as first_date, last_date from complete_months
    union all
    select month, 'before' as part, last_date - 59 as first_date, last_date - 30 as last_date from complete_months
),

event_counts as (
    select
        spread_over.month,
        spread_over.part,
        spread_over.first_date,
        spread_over.last_date,
        daily.environment,
        daily.component,
        daily.os_family,
        daily.os_release,
        daily.architecture,
        sum(daily.events) as events,
        sum(daily.successes) as successes,
        sum(daily.failures) as failures
    from marts.system_daily as daily
    inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
    where daily.event_date between cast($first_day as date) - 32 and $last_day
    group by
        spread_over.month, spread_over.part, spread_over.first_date, spread_over.last_date, daily.environment,
        daily.component, daily.os_family, daily.os_release, daily.architecture
),

-- a machine is counted on the first of its days in the window, a failing one on the first day on which it failed, each
-- with the system of that day
machine_counts as (
    select
        spread_over.month,
        spread_over.part,
        daily.environment,
        case when daily.level = 'architecture' then 'all' else daily.component end as component,
        daily.os_family,
        daily.os_release,
        daily.architecture,
        sum(case when coalesce(daily.before_date < spread_over.first_date, true) then daily.machines else 0 end)
            as machines,
        sum(case when coalesce(daily.before_date < spread_over.first_date, true) then daily.first_failures else 0 end)
            as unit_failures,
        sum(case
            when coalesce(daily.failed_before_date < spread_over.first_date, true) then daily.machines_failing
            else 0
        end) as machines_failing
    from staging.machine_returns as daily
    inner join spread_over on daily.event_date between spread_over.first_date and spread_over.last_date
    where daily.event_date between cast($first_day as date) - 32 and $last_day
        and daily.level in ('component', 'architecture')
    group by
        spread_over.month, spread_over.part, daily.environment,
        case when daily.level = 'architecture' then 'all' else daily.component end, daily.os_family,
        daily.os_release, daily.architecture
),

-- a machine's first try of a component is its unit
parts as (
    select
        event_counts.month,
        event_counts.part,
        event_counts.environment,
        event_counts.component,
        event_counts.os_family,
        event_counts.os_release,
        event_counts.architecture,
        event_counts.events,
        event_counts.successes,
        event_counts.failures,
        coalesce(machine_counts.machines, 0) as machines,
        coalesce(machine_counts.machines_failing, 0) as machines_failing,
        coalesce(machine_counts.machines, 0) as units,
        coalesce(machine_counts.unit_failures, 0) as unit_failures,
        event_counts.first_date,
        event_counts.last_date
    from event_counts
    left join machine_counts
        on machine_counts.month = event_counts.month
        and machine_counts.part = event_counts.part
        and machine_counts.environment = event_counts.environment
        and machine_counts.component = event_counts.component
        and machine_counts.os_family = event_counts.os_family
        and machine_counts.os_release = event_counts.os_release
        and machine_counts.architecture = event_counts.architecture
),

-- a machine that tried several components is one machine of all of them
components_together as (
    select
        parts.month,
        parts.part,
        parts.environment,
        'all' as component,
        parts.os_family,
        parts.os_release,
        parts.architecture,
        sum(parts.events) as events,
        sum(parts.successes) as successes,
        sum(parts.failures) as failures,
        coalesce(max(machine_counts.machines), 0) as machines,
        coalesce(max(machine_counts.machines_failing), 0) as machines_failing,
        sum(parts.units) as units,
        sum(parts.unit_failures) as unit_failures,
        parts.first_date,
        parts.last_date
    from parts
    left join machine_counts
        on machine_counts.component = 'all'
        and machine_counts.month = parts.month
        and machine_counts.part = parts.part
        and machine_counts.environment = parts.environment
        and machine_counts.os_family = parts.os_family
        and machine_counts.os_release = parts.os_release
        and machine_counts.architecture = parts.architecture
    group by
        parts.month, parts.part, parts.first_date, parts.last_date, parts.environment, parts.os_family,
        parts.os_release, parts.architecture
),

counts as (
    select * from parts
    union all
    select * from components_together
)

select
    month,
    part,
    environment,
    component,
    os_family,
    os_release,
    architecture,
    events,
    successes,
    failures,
    machines,
    machines_failing,
    units,
    unit_failures,
    first_date,
    last_date
from counts
