-- grain: event_date, source, form, confidence, left_out_reason; every landed row is in exactly one of them
select
    event_date,
    source,
    form,
    confidence,
    left_out_reason,
    count(*) as landed,
    count(*) filter (where counted) as counted,
    count(*) filter (where is_contract_drift) as contract_drift
from staging.installer_events
where event_date between $first_day and $last_day
group by event_date, source, form, confidence, left_out_reason
