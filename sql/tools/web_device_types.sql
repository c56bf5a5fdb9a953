-- The kinds of devices that visits were made with, of one site.
-- Grain: one row of the report of one period.
select
    period_start,
    position,
    is_others,
    label,
    nb_visits,
    nb_actions,
    nb_visits_converted,
    nb_hits,
    sum_visit_length,
    avg_time_on_site,
    max_actions,
    bounce_rate,
    bounce_count,
    further
from web_device_types
where source = $source
    and site_id = $site
    and period = $period
    and period_start between $first and $last
    and position <= $most
