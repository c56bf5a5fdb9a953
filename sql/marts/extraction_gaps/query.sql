-- grain: source, window_start, window_end; windows whose readings do not add up and that no later one holds
with tried as (
    select
        source,
        window_start,
        window_end,
        count(*) as readings,
        max(window_id) as last_window_id,
        min(started_at) as first_tried_at,
        max(started_at) as last_tried_at
    from ledger.windows
    where status = 'incomplete'
    group by source, window_start, window_end
),

covered as (
    select distinct
        tried.source,
        tried.window_start,
        tried.window_end
    from tried
    inner join ledger.windows as later
        on later.source = tried.source
        and later.window_id > tried.last_window_id
        and later.window_start <= tried.window_start
        and later.window_end >= tried.window_end
        and (
            later.status <> 'incomplete'
            or later.window_start < tried.window_start
            or later.window_end > tried.window_end
        )
)

select
    tried.source,
    tried.window_start,
    tried.window_end,
    last_reading.expected as announced,
    last_reading.received,
    tried.readings,
    tried.first_tried_at,
    tried.last_tried_at,
    last_reading.detail
from tried
inner join ledger.windows as last_reading on last_reading.window_id = tried.last_window_id
left join covered
    on covered.source = tried.source
    and covered.window_start = tried.window_start
    and covered.window_end = tried.window_end
where covered.source is null
