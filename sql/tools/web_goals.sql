-- Conversions of the goals of a site, orders and abandoned carts among them.
-- Grain: one goal of one period.
select
    period_start,
    goal_id,
    label,
    type,
    nb_conversions,
    nb_visits_converted,
    revenue
from web_goals
where source = $source
    and site_id = $site
    and period = $period
    and period_start between $first and $last
