-- The channels that visits came by, of one site.
-- Grain: one row of the report of one period.
select
    period_start,
    position,
    is_others,
    label,
    nb_visits,
    nb_actions,
    nb_visits_converted,
    sum_visit_length,
    nb_hits,
    bounce_rate,
    bounce_count,
    referrer_type,
    further
from web_referrer_types
where source = $source
    and site_id = $site
    and period = $period
    and period_start between $first and $last
    and position <= $most
