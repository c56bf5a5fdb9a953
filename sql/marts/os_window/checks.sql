-- #fail releases_add_up_to_components: the counted events of a window are those of component_window
with by_release as (
    select window_days, environment, sum(events) as events
    from marts.os_window
    group by window_days, environment
),

by_component as (
    select window_days, environment, events
    from marts.component_window
    where component = 'all'
        and architecture = 'all'
)

select coalesce(by_release.window_days, by_component.window_days) as window_days
from by_release
full join by_component
    on by_component.window_days = by_release.window_days
    and by_component.environment = by_release.environment
where coalesce(by_release.events, 0) <> coalesce(by_component.events, 0);
