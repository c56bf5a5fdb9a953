-- grain: event_date, environment, commit_sha; counted events that name a commit
with per_day as (
    select
        event_date,
        environment,
        commit_sha,
        sum(events) as events,
        sum(case when outcome = 'success' then events else 0 end) as successes,
        sum(case when outcome = 'failure' then events else 0 end) as failures
    from staging.events_daily
    where event_date between $first_day and $last_day
        and counted
        and commit_sha is not null
    group by event_date, environment, commit_sha
)

select
    event_date,
    environment,
    commit_sha,
    events,
    successes,
    failures,
    rate(successes, events) as success_rate,
    wilson_low(successes, events) as success_rate_low,
    wilson_high(successes, events) as success_rate_high
from per_day
