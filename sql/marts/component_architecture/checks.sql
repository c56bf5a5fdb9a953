-- #fail both_sides_are_all: an architecture and the others together are all known architectures
select compared.window_days, compared.environment, compared.component, compared.architecture
from marts.component_architecture as compared
left join marts.component_window as unknown
    on unknown.window_days = compared.window_days
    and unknown.environment = compared.environment
    and unknown.component = compared.component
    and unknown.architecture = 'unknown'
inner join marts.component_window as whole
    on whole.window_days = compared.window_days
    and whole.environment = compared.environment
    and whole.component = compared.component
    and whole.architecture = 'all'
where compared.architecture <> 'unknown'
    and compared.events + compared.others_events + coalesce(unknown.events, 0) <> whole.events;
