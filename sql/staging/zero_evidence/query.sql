-- grain: evidence_level, component (null at level environment), environment, commit_sha; over all days
with per_component as (
    select
        'component' as evidence_level,
        component,
        environment,
        commit_sha,
        sum(enhanced) as enhanced,
        sum(ones) as ones,
        sum(zeros) as zeros,
        sum(durations) as durations,
        sum(durations_short) as durations_short
    from staging.zero_evidence_daily
    group by component, environment, commit_sha
),

per_environment as (
    select
        'environment' as evidence_level,
        cast(null as varchar) as component,
        environment,
        commit_sha,
        sum(enhanced) as enhanced,
        sum(ones) as ones,
        sum(zeros) as zeros,
        sum(durations) as durations,
        sum(durations_short) as durations_short
    from per_component
    group by environment, commit_sha
),

both_levels as (
    select * from per_component
    union all
    select * from per_environment
)

select
    evidence_level,
    component,
    environment,
    commit_sha,
    enhanced,
    ones,
    zeros,
    durations,
    durations_short,
    case
        when enhanced = 0 then 'none'
        -- more than one in twenty values above 0 is exactly 1, although the lower median of the durations, the value
        -- at place ceil(n / 2), is 5 s or more: fewer than half of them are below
        when 20 * ones > ones + durations and 2 * durations_short < durations then 'mixed'
        else 'enhanced'
    end as verdict
from both_levels
