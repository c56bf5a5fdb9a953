-- grain: commit_sha; commits first seen in production in a stretch of time, the newest first
with worse as (
    select
        commit_sha,
        list(component order by chance_worse, component) as made_worse
    from commit_regression_components
    where verdict = 'worse'
    group by commit_sha
)

select
    lives.commit_sha,
    lives.first_seen,
    lives.predecessor_sha,
    judged.verdict,
    worse.made_worse
from commit_performance as lives
left join commit_regression as judged on judged.commit_sha = lives.commit_sha
left join worse on worse.commit_sha = lives.commit_sha
where lives.first_seen >= $start
    and lives.first_seen <= $end
order by
    lives.first_seen desc,
    lives.commit_sha
