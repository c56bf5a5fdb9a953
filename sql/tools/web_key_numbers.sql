-- Visits and page views of a site, of every period that is kept.
-- Grain: one period.
select
    visits.period,
    visits.period_start,
    visits.nb_visits,
    visits.nb_uniq_visitors,
    visits.nb_actions,
    visits.nb_users,
    visits.nb_visits_converted,
    visits.sum_visit_length,
    visits.max_actions,
    visits.bounce_rate,
    visits.nb_actions_per_visit,
    actions.nb_pageviews,
    actions.nb_uniq_pageviews,
    visits.bounce_count,
    visits.avg_time_on_site,
    visits.further
from web_visits as visits
left join web_actions as actions
    on actions.source = visits.source
    and actions.site_id = visits.site_id
    and actions.period = visits.period
    and actions.period_start = visits.period_start
where visits.source = $source
    and visits.site_id = $site
