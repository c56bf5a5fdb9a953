-- grain: commit_sha, component; the components that commits made worse by more than chance, of each the surest first
select
    commit_sha,
    component
from commit_regression_components
where verdict = 'worse'
order by
    commit_sha,
    chance_worse,
    component
