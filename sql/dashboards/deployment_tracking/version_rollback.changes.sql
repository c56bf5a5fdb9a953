-- 4.2, the dashed marks: the days on which another commit led in production than on the day before it that had events;
-- a rollback when the new leader was first seen before the old one. The commit with most events leads, ties by name.
-- Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
)

select
    changes.event_date,
    changes.from_commit,
    changes.to_commit,
    changes.is_rollback
from marts.commit_leader_changes as changes
inner join period on changes.event_date between period.first_day and period.last_day
order by changes.event_date
