-- grain: kind, name; every component, architecture and operating system that was ever counted
select distinct
    'component' as kind,
    component as name
from component_daily
union all
select distinct
    'architecture' as kind,
    architecture as name
from architecture_daily
union all
select distinct
    'os_family' as kind,
    os_family as name
from os_daily
union all
select distinct
    'os' as kind,
    os_release as name
from os_daily
order by
    kind,
    name
