-- #warn mirrors_agree: a mirror holds the events of its source
select source, event_date
from marts.mirror_daily
where verdict = 'differs';
