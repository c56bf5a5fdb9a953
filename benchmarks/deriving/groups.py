"""What kind of work each model is, for benchmarks/derive.py: a new model is put into its group here, by hand.

- staging: rows are read, one by one, and evidence on value 0 is gathered.
- cube: the sums by day that everything additive is made of.
- additive: marts made of sums alone.
- machines: first tries, machines, installations, medians: what cannot be added up and needs rows, machines or sets.
- known: what was extracted, how completely, and what of it the contract does not know.
Not here: measuring.
"""

from __future__ import annotations

from collections.abc import Iterable

STAGING, CUBE, ADDITIVE, MACHINES, KNOWN = "staging", "cube", "additive", "machines", "known"
GROUPS = (STAGING, CUBE, ADDITIVE, MACHINES, KNOWN)

_MODELS = {
    STAGING: """
        staging.event_readings staging.installer_events staging.landed_events staging.product_day staging.zero_evidence
        staging.zero_evidence_daily
    """,
    CUBE: "staging.events_daily",
    ADDITIVE: """
        marts.commit_daily marts.commit_system_daily marts.data_quality_daily marts.environment_daily marts.error_daily
        marts.error_system_window marts.error_window
    """,
    MACHINES: """
        staging.commit_baselines staging.commit_comparison staging.durations_daily
        staging.machine_days staging.machine_returns
        marts.architecture_daily marts.ci_vs_production marts.commit_leader_changes marts.commit_performance
        marts.commit_regression marts.commit_regression_components marts.component_architecture
        marts.component_commit marts.component_daily marts.component_weekly marts.component_window
        marts.duration_window marts.machine_share marts.os_daily marts.os_first_seen marts.os_weekly marts.os_window
        marts.segment_daily marts.success_rate_daily marts.system_daily
        marts.system_monthly marts.system_window
    """,
    KNOWN: """
        staging.contract_findings staging.mirror_days
        marts.contract_drift marts.extraction_days marts.extraction_gaps marts.extraction_status marts.mirror_daily
        marts.project_day
    """,
}
GROUP_OF = {model: group for group, names in _MODELS.items() for model in names.split()}


def hold_against(models: Iterable[str]) -> None:
    """End the benchmark when a model is in no group, or a group names a model that is not there."""
    there = set(models)
    if unknown := sorted(there - set(GROUP_OF)):
        raise SystemExit(f"{', '.join(unknown)}: say in benchmarks/deriving/groups.py what kind of work this is.")
    if gone := sorted(set(GROUP_OF) - there):
        raise SystemExit(f"{', '.join(gone)}: no such model; take it out of benchmarks/deriving/groups.py.")
