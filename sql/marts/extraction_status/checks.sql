-- #fail received_is_accounted_for: of every reading, received = duplicates + quarantined + landed
select window_id
from ledger.windows
where received <> duplicates + quarantined + landed;

-- #warn reconciled: every closed day agrees with the source's own report
select source, site_id, site_date
from ledger.reconciliation
where verdict = 'differs';
