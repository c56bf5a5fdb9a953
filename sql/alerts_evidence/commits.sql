-- grain: commit_sha; commits by their first event, each with the one first seen before it. Those of $commits, or where
-- that is null those first seen in the window, newest first
with first_seen as (
    select
        commit_sha,
        min(first_ts) as first_ts
    from staging.events_daily
    where counted
        and commit_sha is not null
        and list_contains($environments, environment)
        and first_ts < $end_ts
    group by commit_sha
),

ordered as (
    select
        commit_sha,
        first_ts,
        lag(commit_sha) over (order by first_ts, commit_sha) as previous_sha
    from first_seen
)

select
    commit_sha,
    first_ts,
    previous_sha
from ordered
where case
        when $commits is null then first_ts >= $start_ts
        else list_contains($commits, commit_sha)
    end
order by first_ts desc, commit_sha desc
limit 6
