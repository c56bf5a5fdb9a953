-- grain: source of installer events; up to when it is complete, and whether its last pass failed
select
    sources.source,
    sources.watermark,
    sources.last_read_at,
    sources.last_error is not null as has_failed,
    count(gaps.source) as recent_gaps
from extraction_status as sources
left join extraction_gaps as gaps
    on gaps.source = sources.source
    and gaps.window_end > $since
group by sources.source, sources.watermark, sources.last_read_at, sources.last_error
order by sources.source
