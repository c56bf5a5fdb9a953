-- grain: commit_sha; commits first seen in two spans that follow each other, or one commit; the newest first
select
    commit_sha,
    predecessor_sha,
    deployed_at,
    compared_until,
    is_final,
    events,
    failures,
    units,
    unit_failures,
    machines_failing,
    baseline_units,
    expected_share,
    chance_worse,
    verdict,
    deployed_at >= $start as is_now
from commit_regression
where case
        when $sha is not null then starts_with(commit_sha, $sha)
        else deployed_at >= $before_start and deployed_at < $end
    end
order by
    deployed_at desc,
    commit_sha desc
