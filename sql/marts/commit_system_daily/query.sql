-- grain: event_date, environment, commit_sha, os_family, os_release, architecture; counted events that name a commit
select
    event_date,
    environment,
    commit_sha,
    os_family,
    os_release,
    architecture,
    sum(events) as events,
    sum(case when outcome = 'success' then events else 0 end) as successes,
    sum(case when outcome = 'failure' then events else 0 end) as failures
from staging.events_daily
where event_date between $first_day and $last_day
    and counted
    and commit_sha is not null
group by event_date, environment, commit_sha, os_family, os_release, architecture
