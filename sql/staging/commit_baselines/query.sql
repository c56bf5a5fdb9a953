-- grain: commit_sha, place; the commits that a new one is held against, the previous one first
with lives as (
    select
        commit_sha,
        min(first_ts) as first_seen,
        max(last_ts) as last_seen
    from staging.events_daily
    where counted
        and environment = 'production'
        and commit_sha is not null
    group by commit_sha
),

-- a comparison begins with the first production event and ends a day later; what is not complete yet waits
deployments as (
    select
        lives.commit_sha,
        lives.first_seen as deployed_at,
        least(lives.first_seen + interval 24 hours, product.watermark) as compared_until,
        product.watermark >= lives.first_seen + interval 24 hours as is_final
    from lives
    cross join ledger.product_watermark as product
    where product.watermark > lives.first_seen
),

-- order of first production events, ties by name
earlier as (
    select
        deployments.commit_sha,
        lives.commit_sha as baseline_sha,
        lives.last_seen as baseline_last_seen,
        row_number() over (
            partition by deployments.commit_sha
            order by lives.first_seen desc, lives.commit_sha desc
        ) as place
    from deployments
    inner join lives
        on lives.first_seen < deployments.deployed_at
        or (lives.first_seen = deployments.deployed_at and lives.commit_sha < deployments.commit_sha)
)

select
    deployments.commit_sha,
    coalesce(earlier.place, 1) as place,
    earlier.baseline_sha,
    deployments.deployed_at,
    deployments.compared_until,
    deployments.is_final
from deployments
left join earlier
    on earlier.commit_sha = deployments.commit_sha
    and (earlier.place = 1 or earlier.baseline_last_seen >= deployments.deployed_at - interval 7 days)
