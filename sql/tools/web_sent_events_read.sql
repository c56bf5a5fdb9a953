-- From when to when the events of a source are read, and the zone of its site.
-- Grain: one row, or none.
select
    zone,
    proven_from,
    watermark
from extraction_status
where source = $source
