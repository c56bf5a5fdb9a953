-- The most viewed pages, by path, of one site.
-- Grain: one row of the report of one period.
select
    period_start,
    position,
    is_others,
    label,
    url,
    nb_hits,
    nb_visits,
    nb_uniq_visitors,
    sum_time_spent,
    bounce_count,
    further
from web_page_urls
where source = $source
    and site_id = $site
    and period = $period
    and period_start between $first and $last
    and position <= $most
