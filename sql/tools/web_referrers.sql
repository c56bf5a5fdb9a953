-- Where visits came from, by name, of one site.
-- Grain: one row of the report of one period.
select
    period_start,
    position,
    is_others,
    label,
    nb_visits,
    nb_actions,
    nb_visits_converted,
    bounce_count,
    referrer_type,
    further
from web_referrers
where source = $source
    and site_id = $site
    and period = $period
    and period_start between $first and $last
    and position <= $most
