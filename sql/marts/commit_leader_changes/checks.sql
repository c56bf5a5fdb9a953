-- #fail a_leader_leads: no commit has more production events on the day than the one that leads it
select changes.event_date
from marts.commit_leader_changes as changes
inner join marts.commit_daily as daily
    on daily.event_date = changes.event_date
    and daily.environment = 'production'
where daily.events > changes.to_events;
