-- #fail landed_is_counted_plus_left_out: rows without a reason are all counted, rows with one are not
select event_date, source, form, confidence, left_out_reason
from marts.data_quality_daily
where event_date between $first_day and $last_day
    and counted <> case when left_out_reason is null then landed else 0 end;

-- #fail landed_is_raw: the landed rows of the days are those of raw
select landed.rows_landed, quality.rows_landed
from (
    select count(*) as rows_landed
    from staging.landed_events
    where mirror_of is null
        and event_ts >= $start_ts
        and event_ts < $end_ts
) as landed
cross join (
    select coalesce(sum(landed), 0) as rows_landed
    from marts.data_quality_daily
    where event_date between $first_day and $last_day
) as quality
where landed.rows_landed <> quality.rows_landed;
