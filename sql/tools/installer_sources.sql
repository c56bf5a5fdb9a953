-- grain: source; how far each one is known, those that count first
select
    source,
    kind,
    mirror_of,
    zone,
    watermark,
    proven_from,
    last_read_at,
    quarantined,
    last_error,
    last_error_at
from extraction_status
order by
    mirror_of is not null,
    source
