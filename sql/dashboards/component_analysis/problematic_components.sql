-- 3.2 Most Problematic Components: failures of the ten components with most of them, ties by name, stacked by the error
-- type that the sender named ("not_reported" where it named none). A component without failures is not there. Error
-- types are guesses from the text of a failing command: network and disk are over-counted. Default: 30 days.
with period as (
    select
        last_complete_day - cast($days as integer) + 1 as first_day,
        last_complete_day as last_day
    from marts.project_day
),

by_error_type as (
    select
        daily.component,
        daily.error_type,
        cast(sum(daily.failures) as bigint) as failures
    from marts.error_daily as daily
    inner join period on daily.event_date between period.first_day and period.last_day
    where daily.environment = $environment
    group by daily.component, daily.error_type
),

ranked as (
    select
        component,
        cast(sum(failures) as bigint) as component_failures,
        row_number() over (order by sum(failures) desc, component) as place
    from by_error_type
    group by component
)

select
    ranked.place,
    ranked.component,
    by_error_type.error_type,
    by_error_type.failures,
    ranked.component_failures
from by_error_type
inner join ranked on ranked.component = by_error_type.component
where ranked.place <= 10
order by ranked.place, by_error_type.failures desc, by_error_type.error_type
