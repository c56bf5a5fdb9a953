-- grain: source, site_id, period, period_start, position; one kind of device of one period
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
    where report.report = 'device_types'
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
            '{"label": "varchar", "nb_visits": "varchar", "nb_actions": "varchar", '
            || '"nb_visits_converted": "varchar", "nb_hits": "varchar", "sum_visit_length": "varchar", '
            || '"avg_time_on_site": "varchar", "max_actions": "varchar", "bounce_rate": "varchar", '
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
    web_number(field.nb_visits) as nb_visits,
    web_number(field.nb_actions) as nb_actions,
    web_number(field.nb_visits_converted) as nb_visits_converted,
    web_number(field.nb_hits) as nb_hits,
    web_number(field.sum_visit_length) as sum_visit_length,
    web_number(field.avg_time_on_site) as avg_time_on_site,
    web_number(field.max_actions) as max_actions,
    web_percent(field.bounce_rate) as bounce_rate,
    web_number(field.bounce_count) as bounce_count,
    web_further(
        entry,
        '{"label": null, "nb_visits": null, "nb_actions": null, "nb_visits_converted": null, '
        || '"nb_hits": null, "sum_visit_length": null, "avg_time_on_site": null, "max_actions": null, '
        || '"bounce_rate": null, "bounce_count": null}'
    ) as further,
    is_others,
    fetched_at as as_of
from read
