-- #fail all_is_the_sum: the events of all components and architectures are the sum of the parts
with parts as (
    select week_start, environment, sum(events) as events
    from marts.component_weekly
    where week_start between $first_day and $last_day
        and architecture <> 'all'
        and component <> 'all'
    group by week_start, environment
)

select whole.week_start, whole.environment
from marts.component_weekly as whole
left join parts
    on parts.week_start = whole.week_start
    and parts.environment = whole.environment
where whole.week_start between $first_day and $last_day
    and whole.architecture = 'all'
    and whole.component = 'all'
    and coalesce(parts.events, 0) <> whole.events;
