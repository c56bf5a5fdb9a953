-- grain: left_out_reason (null: counted); rows of the window, all environments
select
    left_out_reason,
    count(*) as landed
from staging.installer_events
where event_ts >= $start_ts
    and event_ts < $end_ts
group by left_out_reason
order by landed desc, left_out_reason
