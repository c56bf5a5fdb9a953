-- 4.3, failure patterns: the three most frequent error types of each side, production and CI, by component and over all
-- components ("all"); most failures first, ties by error type. "not_reported" where the sender named none. Error types
-- are guesses from the text of a failing command: network and disk are over-counted. Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
),

by_error_type as (
    select
        daily.environment,
        case when grouping(daily.component) = 1 then 'all' else daily.component end as component,
        daily.error_type,
        cast(sum(daily.failures) as bigint) as failures
    from marts.error_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment in ('production', 'ci')
    group by grouping sets (
        (daily.environment, daily.error_type, daily.component),
        (daily.environment, daily.error_type)
    )
),

ranked as (
    select
        environment,
        component,
        error_type,
        failures,
        row_number() over (partition by environment, component order by failures desc, error_type) as place
    from by_error_type
)

select
    component,
    environment,
    place,
    error_type,
    failures
from ranked
where place <= 3
order by case when component = 'all' then 1 else 0 end, component, environment, place
