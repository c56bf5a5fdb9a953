-- grain: source, site_id, period, period_start, position; one page that visits began with of one period
with placed as (
    select
        report.source,
        report.site_id,
        report.period,
        report.period_start,
        report.fetched_at,
        web_last_place(report.body) as last_place,
        unnest(web_rows(report.body)) as place
    from raw.web_reports as report
    where report.report = 'entry_pages'
        and report.period_start between $first_day and $last_day
        and exists (
            select 1
            from ledger.touched_web as touched
            where touched.source = report.source
                and touched.site_id = report.site_id
                and touched.period = report.period
                and touched.period_start = report.period_start
        )
),

read as (
    select
        placed.source,
        placed.site_id,
        placed.period,
        placed.period_start,
        placed.fetched_at,
        placed.place.position as position,
        placed.place.entry as entry,
        web_is_others(placed.place.entry, placed.place.position, placed.last_place) as is_others,
        json_transform(
            placed.place.entry,
            '{"label": "varchar", "url": "varchar", "nb_visits": "varchar", '
            || '"nb_uniq_visitors": "varchar", "nb_hits": "varchar", "sum_time_spent": "varchar", '
            || '"entry_nb_uniq_visitors": "varchar", "entry_nb_visits": "varchar", '
            || '"entry_nb_actions": "varchar", "entry_sum_visit_length": "varchar", '
            || '"entry_bounce_count": "varchar", "exit_nb_uniq_visitors": "varchar", '
            || '"exit_nb_visits": "varchar", "avg_page_load_time": "varchar", '
            || '"avg_time_on_page": "varchar", "bounce_rate": "varchar", "exit_rate": "varchar", '
            || '"bounce_count": "varchar", "segment": "varchar"}'
        ) as field
    from placed
)

select
    source,
    site_id,
    period,
    period_start,
    position,
    coalesce(field.label, '') as label,
    field.url,
    web_number(field.nb_visits) as nb_visits,
    web_number(field.nb_uniq_visitors) as nb_uniq_visitors,
    web_number(field.nb_hits) as nb_hits,
    web_number(field.sum_time_spent) as sum_time_spent,
    web_number(field.entry_nb_uniq_visitors) as entry_nb_uniq_visitors,
    web_number(field.entry_nb_visits) as entry_nb_visits,
    web_number(field.entry_nb_actions) as entry_nb_actions,
    web_number(field.entry_sum_visit_length) as entry_sum_visit_length,
    web_number(field.entry_bounce_count) as entry_bounce_count,
    web_number(field.exit_nb_uniq_visitors) as exit_nb_uniq_visitors,
    web_number(field.exit_nb_visits) as exit_nb_visits,
    web_number(field.avg_page_load_time) as avg_page_load_time,
    web_number(field.avg_time_on_page) as avg_time_on_page,
    web_percent(field.bounce_rate) as bounce_rate,
    web_percent(field.exit_rate) as exit_rate,
    web_number(field.bounce_count) as bounce_count,
    web_further(
        entry,
        '{"label": null, "url": null, "nb_visits": null, "nb_uniq_visitors": null, "nb_hits": null, '
        || '"sum_time_spent": null, "entry_nb_uniq_visitors": null, "entry_nb_visits": null, '
        || '"entry_nb_actions": null, "entry_sum_visit_length": null, "entry_bounce_count": null, '
        || '"exit_nb_uniq_visitors": null, "exit_nb_visits": null, "avg_page_load_time": null, '
        || '"avg_time_on_page": null, "bounce_rate": null, "exit_rate": null, "bounce_count": null}'
    ) as further,
    is_others,
    fetched_at as as_of
from read
