-- grain: commit_sha, component; the counts that the step commit_regression_components judges
select
    commit_sha,
    component,
    predecessor_sha,
    deployed_at,
    compared_until,
    is_final,
    events,
    successes,
    failures,
    units,
    unit_failures,
    machines_failing,
    predecessor_events,
    predecessor_successes,
    baseline_units,
    baseline_unit_failures,
    baseline_commits
from staging.commit_comparison
where commit_sha in (select touched.commit_sha from ledger.touched_commits as touched)
order by commit_sha, component
