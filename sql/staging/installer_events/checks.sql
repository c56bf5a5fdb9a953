-- #fail landed_is_derived: every landed row is in staging.installer_events, and no other row
select landed.rows_landed, derived.rows_derived
from (
    select count(*) as rows_landed
    from staging.landed_events
    where mirror_of is null
        and event_ts >= $start_ts
        and event_ts < $end_ts
) as landed
cross join (
    select count(*) as rows_derived
    from staging.installer_events
    where event_date between $first_day and $last_day
) as derived
where landed.rows_landed <> derived.rows_derived;

-- #fail landed_is_counted_or_left_out: a row is counted, or says why it is not
select source, site_id, event_id
from staging.installer_events
where event_date between $first_day and $last_day
    and counted = (left_out_reason is not null);

-- #fail counted_has_outcome: a counted row is a success or a failure of a component
select source, site_id, event_id
from staging.installer_events
where event_date between $first_day and $last_day
    and counted
    and (outcome not in ('success', 'failure') or component is null or form in ('test', 'marker'));
