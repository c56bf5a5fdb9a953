-- grain: window_days, environment, component, architecture (or all); windows end at the last complete day
with windows as (
    select
        last_complete_day as last_date,
        last_complete_day - 6 as first_of_7,
        last_complete_day - 29 as first_of_30,
        last_complete_day - 89 as first_of_90
    from staging.product_day
    where last_complete_day is not null
),

spread_over as (
    select 1 as window_days, last_date as first_date, last_date from windows
    union all
    select 7 as window_days, first_of_7 as first_date, last_date from windows
    union all
    select 30 as window_days, first_of_30 as first_date, last_date from windows
    union all
    select 90 as window_days, first_of_90 as first_date, last_date from windows
),

-- the days of all windows at once, so that the histogram is read once
histogram as (
    select
        daily.environment,
        daily.component,
        daily.architecture,
        daily.duration_s,
        sum(case when daily.event_date >= windows.last_date then daily.events else 0 end) as events_1,
        sum(case when daily.event_date >= windows.first_of_7 then daily.events else 0 end) as events_7,
        sum(case when daily.event_date >= windows.first_of_30 then daily.events else 0 end) as events_30,
        sum(daily.events) as events_90
    from staging.durations_daily as daily
    inner join windows on daily.event_date between windows.first_of_90 and windows.last_date
    group by daily.environment, daily.component, daily.architecture, daily.duration_s
),

windowed as (
    select
        spread_over.window_days,
        histogram.environment,
        histogram.component,
        histogram.architecture,
        histogram.duration_s,
        case spread_over.window_days
            when 1 then events_1 when 7 then events_7 when 30 then events_30 else events_90
        end as events
    from histogram
    cross join spread_over
),

parts as (
    select
        window_days,
        environment,
        component,
        case when grouping(architecture) = 1 then 'all' else architecture end as architecture,
        duration_s,
        sum(events) as events
    from windowed
    where events > 0
    group by grouping sets (
        (window_days, environment, component, duration_s, architecture),
        (window_days, environment, component, duration_s)
    )
),

cumulated as (
    select
        parts.*,
        sum(events) over (
            partition by window_days, environment, component, architecture
            order by duration_s
            rows between unbounded preceding and current row
        ) as events_so_far
    from parts
),

totals as (
    select
        window_days,
        environment,
        component,
        architecture,
        sum(events) as events
    from parts
    group by window_days, environment, component, architecture
)

select
    cumulated.window_days,
    cumulated.environment,
    cumulated.component,
    cumulated.architecture,
    totals.events,
    min(cumulated.duration_s) as min_s,
    min(case when 10 * cumulated.events_so_far >= totals.events then cumulated.duration_s end) as p10_s,
    min(case when 4 * cumulated.events_so_far >= totals.events then cumulated.duration_s end) as p25_s,
    min(case when 2 * cumulated.events_so_far >= totals.events then cumulated.duration_s end) as median_s,
    min(case when 4 * cumulated.events_so_far >= 3 * totals.events then cumulated.duration_s end) as p75_s,
    min(case when 10 * cumulated.events_so_far >= 9 * totals.events then cumulated.duration_s end) as p90_s,
    min(case when 20 * cumulated.events_so_far >= 19 * totals.events then cumulated.duration_s end) as p95_s,
    max(cumulated.duration_s) as max_s,
    spread_over.first_date,
    spread_over.last_date
from cumulated
inner join totals
    on totals.window_days = cumulated.window_days
    and totals.environment = cumulated.environment
    and totals.component = cumulated.component
    and totals.architecture = cumulated.architecture
inner join spread_over on spread_over.window_days = cumulated.window_days
group by
    cumulated.window_days, cumulated.environment, cumulated.component, cumulated.architecture, totals.events,
    spread_over.first_date, spread_over.last_date
