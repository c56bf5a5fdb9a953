-- grain: commit_sha; commits seen in production, the newest first
select commit_sha
from commit_performance
where first_seen is not null
order by
    first_seen desc,
    commit_sha
limit 20
