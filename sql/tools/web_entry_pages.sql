-- The pages that visits began on, of one site.
-- Grain: one row of the report of one period.
select
    period_start,
    position,
    is_others,
    label,
    url,
    nb_visits,
    nb_uniq_visitors,
    nb_hits,
    sum_time_spent,
    entry_nb_uniq_visitors,
    entry_nb_visits,
    entry_nb_actions,
    entry_sum_visit_length,
    entry_bounce_count,
    exit_nb_uniq_visitors,
    exit_nb_visits,
    avg_page_load_time,
    avg_time_on_page,
    bounce_rate,
    exit_rate,
    bounce_count,
    further
from web_entry_pages
where source = $source
    and site_id = $site
    and period = $period
    and period_start between $first and $last
    and position <= $most
