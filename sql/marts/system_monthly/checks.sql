-- #fail all_is_the_sum: events and units of all components are the sums of the parts, and no machine is counted twice
with by_component as (
    select
        month,
        part,
        environment,
        sum(case when component = 'all' then events else 0 end) as all_events,
        sum(case when component = 'all' then 0 else events end) as events,
        sum(case when component = 'all' then units else 0 end) as all_units,
        sum(case when component = 'all' then 0 else units end) as units,
        sum(case when component = 'all' then machines else 0 end) as all_machines
    from marts.system_monthly
    where month between $first_day and $last_day
    group by month, part, environment
)

select month
from by_component
where all_events <> events
    or all_units <> units
    or all_machines > units;

-- #fail complete_months_only: a month is there when its last day is complete
select system_monthly.month
from marts.system_monthly as system_monthly
cross join staging.product_day as product_day
where system_monthly.month between $first_day and $last_day
    and cast(system_monthly.month + interval 1 month as date) - 1 > coalesce(product_day.last_complete_day, system_monthly.month);
