-- #fail cube_holds_every_event: the cube's events are the staging rows it covers, day by day
with derived as (
    select event_date, count(*) as events
    from staging.installer_events
    where event_date between $first_day and $last_day
        and (left_out_reason is null or left_out_reason not in ('vanished', 'out_of_scope', 'duplicate_sender_id'))
    group by event_date
),

cubed as (
    select event_date, sum(events) as events
    from staging.events_daily
    where event_date between $first_day and $last_day
    group by event_date
)

select coalesce(derived.event_date, cubed.event_date) as event_date
from derived
full join cubed on cubed.event_date = derived.event_date
where coalesce(derived.events, 0) <> coalesce(cubed.events, 0);
