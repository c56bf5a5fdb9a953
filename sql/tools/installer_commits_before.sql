-- grain: commit_sha; commits first seen in production in a stretch of time, the newest first
select
    lives.commit_sha,
    lives.first_seen,
    lives.predecessor_sha,
    judged.verdict
from commit_performance as lives
left join commit_regression as judged on judged.commit_sha = lives.commit_sha
where lives.first_seen >= $start
    and lives.first_seen <= $end
order by
    lives.first_seen desc,
    lives.commit_sha
