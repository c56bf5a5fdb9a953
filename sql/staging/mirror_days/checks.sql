-- #fail no_more_than_either: what both hold is no more than what each of them holds
select source, event_date
from staging.mirror_days
where event_date between $first_day and $last_day
    and in_both > least(events, mirrored_events);
