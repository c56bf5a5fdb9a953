-- grain: source, site_id, period, period_start; a period that was asked for
select
    source,
    site_id,
    period,
    period_start,
    period_end,
    state,
    coalesce(fetched_at, asked_at) as as_of,
    reports
from ledger.web_periods
