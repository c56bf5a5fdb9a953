-- grain: source, window_start, window_end; windows that do not add up, oldest first
select
    source,
    window_start,
    window_end,
    announced,
    received
from extraction_gaps
order by
    source,
    window_start,
    window_end
