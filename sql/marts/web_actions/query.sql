-- grain: source, site_id, period, period_start; the page views of one period
with read as (
    select
        report.source,
        report.site_id,
        report.period,
        report.period_start,
        report.body,
        report.fetched_at,
        json_transform(
            report.body,
            '{"nb_pageviews": "varchar", "nb_uniq_pageviews": "varchar"}'
        ) as field
    from raw.web_reports as report
    where report.report = 'actions'
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
    web_number(field.nb_pageviews) as nb_pageviews,
    web_number(field.nb_uniq_pageviews) as nb_uniq_pageviews,
    web_further(
        body,
        '{"nb_pageviews": null, "nb_uniq_pageviews": null}'
    ) as further,
    fetched_at as as_of
from read
