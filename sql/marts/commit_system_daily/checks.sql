-- #fail systems_add_up_to_commits: events and failures of a commit and day are the sums over its systems
with by_system as (
    select event_date, environment, commit_sha, sum(events) as events, sum(failures) as failures
    from marts.commit_system_daily
    where event_date between $first_day and $last_day
    group by event_date, environment, commit_sha
),

by_commit as (
    select event_date, environment, commit_sha, events, failures
    from marts.commit_daily
    where event_date between $first_day and $last_day
)

select coalesce(by_system.event_date, by_commit.event_date) as event_date
from by_system
full join by_commit
    on by_commit.event_date = by_system.event_date
    and by_commit.environment = by_system.environment
    and by_commit.commit_sha = by_system.commit_sha
where by_system.events is distinct from by_commit.events
    or by_system.failures is distinct from by_commit.failures;
