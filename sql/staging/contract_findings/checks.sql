-- #fail forms_hold_every_event: the forms of a day hold the events of the cube
with found as (
    select event_date, sum(events) as events
    from staging.contract_findings
    where event_date between $first_day and $last_day
        and kind = 'form'
    group by event_date
),

cubed as (
    select event_date, sum(events) as events
    from staging.events_daily
    where event_date between $first_day and $last_day
    group by event_date
)

select coalesce(found.event_date, cubed.event_date) as event_date
from found
full join cubed on cubed.event_date = found.event_date
where coalesce(found.events, 0) <> coalesce(cubed.events, 0);
