-- grain: commit_sha; when each valid commit was seen first and last in an environment, in order
select
    min(first_ts) as first_ts,
    commit_sha,
    max(last_ts) as last_ts
from staging.events_daily
where counted
    and environment = $environment
    and commit_sha is not null
group by commit_sha
order by first_ts, commit_sha
