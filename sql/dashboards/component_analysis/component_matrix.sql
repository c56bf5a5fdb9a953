-- 3.4 Component Performance Matrix: one cell a component and architecture that has events, with events and success
-- rate; a pair without events has no row and its cell stays blank, fewer than ten events are drawn pale. Ordered by
-- component and architecture. Default: 30 days.
select
    component,
    architecture,
    events,
    successes,
    success_rate
from marts.component_architecture
where window_days = cast($days as integer)
    and environment = $environment
    and component <> 'all'
order by component, architecture
