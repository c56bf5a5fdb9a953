-- grain: source, kind, reason, finding; what came in the last 30 complete days and since that the contract does not know
with reach as (
    select
        days.last_day,
        days.last_day - 29 as first_day,
        days.last_day - 6 as recent_day
    from (
        -- where no day is complete yet, what has come so far
        select coalesce(max(product_day.last_complete_day), max(newest.event_date)) as last_day
        from staging.product_day as product_day
        cross join (select max(event_date) as event_date from staging.contract_findings) as newest
    ) as days
),

firsts as (
    select
        source,
        kind,
        reason,
        finding,
        min(first_ts) as first_ts,
        min(event_date) as first_date
    from staging.contract_findings
    group by source, kind, reason, finding
),

form_days as (
    select
        form_day.source,
        form_day.finding,
        form_day.event_date
    from staging.contract_findings as form_day
    cross join reach
    where form_day.kind = 'form'
        and form_day.event_date >= reach.first_day - 28
),

-- a form is new on a day when the source sent something in the 28 days before, but nothing of this form
form_starts as (
    select
        form_day.source,
        form_day.finding,
        max(form_day.event_date) as since
    from form_days as form_day
    cross join reach
    inner join (select distinct source, event_date from form_days) as active
        on active.source = form_day.source
        and active.event_date between form_day.event_date - 28 and form_day.event_date - 1
    left join form_days as earlier
        on earlier.source = form_day.source
        and earlier.finding = form_day.finding
        and earlier.event_date between form_day.event_date - 28 and form_day.event_date - 1
    where form_day.event_date >= reach.first_day
        and earlier.event_date is null
    group by form_day.source, form_day.finding
),

counted as (
    select
        daily.source,
        sum(daily.events) as events,
        sum(daily.events) filter (where daily.confidence = 'ambiguous') as ambiguous_events
    from staging.events_daily as daily
    inner join reach on daily.event_date between reach.recent_day and reach.last_day
    where daily.counted
    group by daily.source
),

-- the days' findings that make up a row of this table
members as (
    select
        finding.source,
        finding.kind,
        finding.reason,
        finding.finding,
        finding.event_date,
        finding.event_date >= reach.recent_day as is_recent,
        cast(null as double) as share,
        finding.events,
        finding.first_ts,
        finding.last_ts,
        finding.category_raw,
        finding.action_raw,
        finding.name_raw,
        finding.value_raw,
        finding.os_raw,
        finding.event_id
    from staging.contract_findings as finding
    cross join reach
    where finding.kind not in ('form', 'ambiguous')
        and finding.event_date >= reach.first_day

    union all

    select
        form_day.source,
        'new_form' as kind,
        case when firsts.first_date < form_starts.since then 'back_again' else 'first_time' end as reason,
        form_day.finding,
        form_day.event_date,
        form_starts.since >= reach.recent_day as is_recent,
        cast(null as double) as share,
        form_day.events,
        form_day.first_ts,
        form_day.last_ts,
        form_day.category_raw,
        form_day.action_raw,
        form_day.name_raw,
        form_day.value_raw,
        form_day.os_raw,
        form_day.event_id
    from staging.contract_findings as form_day
    cross join reach
    inner join form_starts
        on form_starts.source = form_day.source
        and form_starts.finding = form_day.finding
        and form_day.event_date >= form_starts.since
    inner join firsts
        on firsts.source = form_day.source
        and firsts.kind = form_day.kind
        and firsts.finding = form_day.finding
    where form_day.kind = 'form'

    union all

    select
        ambiguous.source,
        'ambiguous_share' as kind,
        'over_5_percent' as reason,
        'last 7 complete days' as finding,
        ambiguous.event_date,
        true as is_recent,
        rate(counted.ambiguous_events, counted.events) as share,
        ambiguous.events,
        ambiguous.first_ts,
        ambiguous.last_ts,
        ambiguous.category_raw,
        ambiguous.action_raw,
        ambiguous.name_raw,
        ambiguous.value_raw,
        ambiguous.os_raw,
        ambiguous.event_id
    from staging.contract_findings as ambiguous
    inner join reach on ambiguous.event_date between reach.recent_day and reach.last_day
    inner join counted on counted.source = ambiguous.source
    where ambiguous.kind = 'ambiguous'
        and rate(counted.ambiguous_events, counted.events) > 0.05
),

-- the example is the way it was sent most often on the newest day
ordered as (
    select
        members.*,
        row_number() over (
            partition by source, kind, reason, finding
            order by event_date desc, events desc, name_raw, event_id
        ) as place
    from members
),

drifts as (
    select
        source,
        kind,
        reason,
        finding,
        min(first_ts) as first_ts,
        max(last_ts) as last_seen,
        sum(events) as events,
        count(distinct event_date) as days,
        max(share) as share,
        bool_or(is_recent) as is_recent,
        max(case when place = 1 then category_raw end) as category_raw,
        max(case when place = 1 then action_raw end) as action_raw,
        max(case when place = 1 then name_raw end) as name_raw,
        max(case when place = 1 then value_raw end) as value_raw,
        max(case when place = 1 then os_raw end) as os_raw,
        max(case when place = 1 then event_id end) as event_id
    from ordered
    group by source, kind, reason, finding
),

-- names made of random text must not make this table long
capped as (
    select
        drifts.*,
        row_number() over (partition by source, kind order by events desc, reason, finding, event_id) as place
    from drifts
)

select
    capped.source,
    capped.kind,
    capped.reason,
    capped.finding,
    coalesce(firsts.first_ts, capped.first_ts) as first_seen,
    capped.last_seen,
    capped.events,
    capped.days,
    capped.share,
    capped.is_recent,
    capped.category_raw,
    capped.action_raw,
    capped.name_raw,
    capped.value_raw,
    capped.os_raw,
    capped.event_id
from capped
left join firsts
    on firsts.source = capped.source
    and firsts.kind = capped.kind
    and firsts.reason = capped.reason
    and firsts.finding = capped.finding
where capped.place <= 100
