-- grain: source, site_id, period, period_start, report, subject; a landed report of a period that is derived now
select
    report.source,
    report.site_id,
    report.period,
    report.period_start,
    report.report,
    report.subject,
    report.body,
    report.rows,
    report.state,
    report.fetched_at as as_of
from raw.web_reports as report
where exists (
    select 1
    from ledger.touched_web as touched
    where touched.source = report.source
        and touched.site_id = report.site_id
        and touched.period = report.period
        and touched.period_start = report.period_start
)
