-- #fail days_make_the_life: a commit's production days hold the events of its life
with by_day as (
    select commit_sha, sum(events) as events, sum(failures) as failures
    from marts.commit_daily
    where environment = 'production'
    group by commit_sha
)

select coalesce(by_day.commit_sha, life.commit_sha) as commit_sha
from by_day
full join marts.commit_performance as life on life.commit_sha = by_day.commit_sha
where coalesce(by_day.events, 0) <> coalesce(life.events, 0)
    or coalesce(by_day.failures, 0) <> coalesce(life.failures, 0);
