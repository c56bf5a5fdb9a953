-- Events by category, of one site.
-- Grain: one row of the report of one period.
select
    period_start,
    position,
    is_others,
    label,
    nb_events,
    nb_visits,
    nb_actions,
    sum_event_value,
    nb_events_with_value,
    min_event_value,
    max_event_value,
    avg_event_value,
    bounce_count,
    further
from web_event_categories
where source = $source
    and site_id = $site
    and period = $period
    and period_start between $first and $last
    and position <= $most
