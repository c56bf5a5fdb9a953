-- What models share. The only place that turns an instant into a day of a zone.

create or replace macro project_date(instant, zone) as cast(timezone(zone, instant) as date);

-- null, never 0, when there are no events
create or replace macro rate(successes, events) as
    case when events > 0 then cast(successes as double) / cast(events as double) end;

-- Wilson score interval at z = 1.96 (Wilson 1927), as statistics.wilson; never beyond the rate itself, whatever the
-- last digit of the arithmetic says
create or replace macro wilson_low(successes, events) as
    case when events > 0 then greatest(0.0, least(
        cast(successes as double) / events,
        (cast(successes as double) / events + 1.96 * 1.96 / (2.0 * events)
            - 1.96 * sqrt((cast(successes as double) / events) * (1.0 - cast(successes as double) / events) / events
                + 1.96 * 1.96 / (4.0 * events * events)))
        / (1.0 + 1.96 * 1.96 / events)))
    end;

create or replace macro wilson_high(successes, events) as
    case when events > 0 then least(1.0, greatest(
        cast(successes as double) / events,
        (cast(successes as double) / events + 1.96 * 1.96 / (2.0 * events)
            + 1.96 * sqrt((cast(successes as double) / events) * (1.0 - cast(successes as double) / events) / events
                + 1.96 * 1.96 / (4.0 * events * events)))
        / (1.0 + 1.96 * 1.96 / events)))
    end;
