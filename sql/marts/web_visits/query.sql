-- grain: source, site_id, period, period_start; the visits of one period
with read as (
    select
        report.source,
        report.site_id,
        report.period,
        report.period_start,
        report.body,
        report.state,
        report.fetched_at,
        json_transform(
            report.body,
            '{"nb_visits": "varchar", "nb_uniq_visitors": "varchar", "nb_actions": "varchar", '
            || '"nb_users": "varchar", "nb_visits_converted": "varchar", "sum_visit_length": "varchar", '
            || '"max_actions": "varchar", "bounce_count": "varchar", "bounce_rate": "varchar", '
            || '"nb_actions_per_visit": "varchar", "avg_time_on_site": "varchar"}'
        ) as field
    from raw.web_reports as report
    where report.report = 'visits'
        and report.period_start between $first_day and $last_day
        and exists (
            select 1
            from ledger.touched_web as touched
            where touched.source = report.source
                and touched.site_id = report.site_id
                and touched.period = report.period
                and touched.period_start = report.period_start
        )
)

select
    source,
    site_id,
    period,
    period_start,
    web_number(field.nb_visits) as nb_visits,
    web_number(field.nb_uniq_visitors) as nb_uniq_visitors,
    web_number(field.nb_actions) as nb_actions,
    web_number(field.nb_users) as nb_users,
    web_number(field.nb_visits_converted) as nb_visits_converted,
    web_number(field.sum_visit_length) as sum_visit_length,
    web_number(field.max_actions) as max_actions,
    web_number(field.bounce_count) as bounce_count,
    web_percent(field.bounce_rate) as bounce_rate,
    web_number(field.nb_actions_per_visit) as nb_actions_per_visit,
    web_number(field.avg_time_on_site) as avg_time_on_site,
    web_further(
        body,
        '{"nb_visits": null, "nb_uniq_visitors": null, "nb_actions": null, "nb_users": null, '
        || '"nb_visits_converted": null, "sum_visit_length": null, "max_actions": null, '
        || '"bounce_count": null, "bounce_rate": null, "nb_actions_per_visit": null, '
        || '"avg_time_on_site": null}'
    ) as further,
    state,
    fetched_at as as_of
from read
