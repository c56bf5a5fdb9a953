-- grain: commit_sha; commits first seen in two spans that follow each other, or one commit; the newest first
with made_worse as (
    select
        commit_sha,
        list(component order by chance_worse, component) as affected_components
    from commit_regression_components
    where verdict = 'worse'
    group by commit_sha
)

select
    judged.commit_sha,
    judged.predecessor_sha,
    judged.deployed_at,
    judged.compared_until,
    judged.is_final,
    judged.events,
    judged.failures,
    judged.units,
    judged.unit_failures,
    judged.machines_failing,
    judged.baseline_units,
    judged.expected_share,
    judged.chance_worse,
    judged.verdict,
    made_worse.affected_components,
    judged.deployed_at >= $start as is_now
from commit_regression as judged
left join made_worse on made_worse.commit_sha = judged.commit_sha
where case
        when $sha is not null then starts_with(judged.commit_sha, $sha)
        else judged.deployed_at >= $before_start and judged.deployed_at < $end
    end
order by
    judged.deployed_at desc,
    judged.commit_sha desc
