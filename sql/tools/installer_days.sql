-- grain: one row; between which days anything may be said
select
    last_complete_day,
    first_known_day
from project_day
