-- #warn unknown_category: every installer category is in the list of categories
select
    finding || ' (events: ' || cast(events as varchar) || ', such as ' || coalesce(name_raw, 'no name') || ')' as example
from marts.contract_drift
where kind = 'unknown_category'
    and is_recent
order by events desc, source, finding;

-- #warn new_form: events come in the forms that they came in before
select
    finding || ' (' || case when reason = 'back_again' then 'after 28 days without it' else 'never seen before' end
        || ', such as ' || coalesce(name_raw, 'no name') || ' with ' || coalesce(cast(value_raw as varchar), 'no value') || ')'
        as example
from marts.contract_drift
where kind = 'new_form'
    and is_recent
order by events desc, source, finding;

-- #warn unknown_os: every operating system that is sent is recognised
select finding || ' (events: ' || cast(events as varchar) || ')' as example
from marts.contract_drift
where kind = 'unknown_os'
    and is_recent
order by events desc, source, finding;

-- #warn unknown_code: every code is in the list of codes
select finding || ' (events: ' || cast(events as varchar) || ')' as example
from marts.contract_drift
where kind = 'unknown_code'
    and is_recent
order by events desc, source, finding;

-- #warn invalid_value: no value is negative or not finite
select finding || ' (' || coalesce(name_raw, 'no name') || ', events: ' || cast(events as varchar) || ')' as example
from marts.contract_drift
where kind = 'invalid_value'
    and is_recent
order by events desc, source, finding;

-- #warn ambiguous_share: at most 5 % of the counted events of the last 7 days could be read in two ways
select
    source || ' (events: ' || cast(events as varchar) || ', ' || cast(cast(floor(share * 100) as integer) as varchar) || ' %), such as '
        || coalesce(name_raw, 'no name') as example
from marts.contract_drift
where kind = 'ambiguous_share'
order by events desc, source;

-- #warn broken_name: every name follows the naming convention
select finding || ' (' || replace(reason, '_', ' ') || ', events: ' || cast(events as varchar) || ')' as example
from marts.contract_drift
where kind = 'broken_name'
    and is_recent
order by events desc, source, reason, finding;
