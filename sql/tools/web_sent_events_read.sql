-- From when to when the events of a source are read.
-- Grain: one row, or none.
select
    proven_from,
    watermark
from extraction_status
where source = $source
