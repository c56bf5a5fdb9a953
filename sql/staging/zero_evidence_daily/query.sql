-- grain: event_date, component, environment, commit_sha; what speaks for one or the other logging function
select
    reading.event_date,
    reading.component,
    reading.environment,
    reading.commit_sha,
    count(*) filter (where reading.rule in (4, 7)) as enhanced,
    count(*) filter (where reading.rule = 8) as ones,
    count(*) filter (where reading.rule = 9) as zeros,
    count(*) filter (where reading.rule = 7) as durations,
    count(*) filter (where reading.rule = 7 and reading.value_raw < 5) as durations_short
from staging.event_readings as reading
where reading.event_ts >= $start_ts
    and reading.event_ts < $end_ts
    and reading.rule in (4, 7, 8, 9)
    and not reading.is_vanished
group by reading.event_date, reading.component, reading.environment, reading.commit_sha
