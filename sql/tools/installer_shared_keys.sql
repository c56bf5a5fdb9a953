-- grain: week_start, environment; how many events of a week its largest machine key holds
select
    week_start,
    environment,
    events,
    largest_machine_events
from component_weekly
where architecture = 'all'
    and component = 'all'
