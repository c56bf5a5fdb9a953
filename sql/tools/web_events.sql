-- Events by two of category, action and name, of one site.
-- Grain: one row of the report of one period.
select
    period_start,
    position,
    coalesce('Others' in (label, category, action, name), false) as is_others,
    label,
    category,
    action,
    name,
    nb_events,
    nb_visits,
    nb_actions,
    sum_event_value,
    nb_events_with_value,
    min_event_value,
    max_event_value,
    avg_event_value,
    further
from web_events
where source = $source
    and site_id = $site
    and pair = $pair
    and period = $period
    and period_start between $first and $last
    and position <= $most
