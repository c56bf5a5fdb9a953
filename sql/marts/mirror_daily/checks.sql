-- #fail no_more_than_either: what both hold is no more than what each of them holds
select source, event_date
from marts.mirror_daily
where in_both > least(events, mirrored_events);

-- #warn mirrors_agree: a mirror holds the events of its source
select source, event_date
from marts.mirror_daily
where verdict = 'differs';
