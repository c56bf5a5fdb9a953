-- grain: source, site_id, period, period_start, report, subject; a report that was landed
select
    source,
    site_id,
    period,
    period_start,
    report,
    subject,
    rows,
    as_of
from staging.touched_web_reports
where period_start between $first_day and $last_day
