"""What a build's checks say, as asset checks: the generated ones of a table as one, the written ones one each.

Not here: running checks (warehouse/checks.py).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from matokit_pipelines.warehouse.build import BuildResult
from matokit_pipelines.warehouse.checks import CheckResult, written_checks
from matokit_pipelines.warehouse.models import Model

AS_DESCRIBED = "as_described"


@dataclass(frozen=True)
class Evaluation:
    """What one check said. `ran` is False where its table was not derived, so nothing can differ from before."""

    key: dg.AssetCheckKey
    ran: bool
    passed: bool
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        """A written check warns, since a blocking one has ended the build already."""
        return dg.AssetCheckSeverity.ERROR if self.key.name == AS_DESCRIBED else dg.AssetCheckSeverity.WARN


def check_specs(model: Model, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The asset checks of a table."""
    described = dg.AssetCheckSpec(
        AS_DESCRIBED, asset=key, description="Keys, null-ness, ranges and values are as model.yaml describes them."
    )
    return [described] + [
        dg.AssetCheckSpec(check.name, asset=key, description=check.sentence) for check in written_checks(model)
    ]


def report_checks(
    context: dg.AssetExecutionContext,
    models: Mapping[dg.AssetKey, Model],
    result: BuildResult,
    shown: Collection[dg.AssetKey],
) -> Iterator[dg.AssetCheckResult]:
    """The results of the selected checks; the others of the tables that are `shown` go into the log.

    The web page counts only evaluations of a table's latest materialisation. One that did not run says what it said
    before.
    """
    found = [evaluation for key, model in models.items() for evaluation in _evaluations(model, key, result)]
    known = _known(context.instance, [evaluation.key for evaluation in found if not evaluation.ran])
    for said in found:
        passed = said.passed if said.ran else known.get(said.key, True)
        metadata = {**said.metadata, "ran": said.ran}
        if said.key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                passed=passed,
                asset_key=said.key.asset_key,
                check_name=said.key.name,
                severity=said.severity,
                description=said.description,
                metadata=metadata,
            )
        elif said.key.asset_key in shown:
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=said.key.asset_key,
                    check_name=said.key.name,
                    passed=passed,
                    severity=said.severity,
                    description=said.description,
                    metadata=metadata,
                )
            )


def _evaluations(model: Model, key: dg.AssetKey, result: BuildResult) -> Iterator[Evaluation]:
    ran = [check for check in result.checks if check.table == model.name]
    written = {check.name for check in written_checks(model)}
    generated = [check for check in ran if check.name not in written]
    yield Evaluation(
        dg.AssetCheckKey(key, AS_DESCRIBED),
        ran=bool(generated),
        passed=all(check.passed for check in generated),
        metadata={"rules": len(generated)},
    )
    for name in sorted(written):
        check = next((check for check in ran if check.name == name), None)
        yield Evaluation(
            dg.AssetCheckKey(key, name),
            ran=check is not None,
            passed=check is None or check.passed,
            description=_found_wrong(check) if check and not check.passed else None,
            metadata={
                "failing_rows": check.failing_rows if check else 0,
                "examples": list(check.examples) if check else [],
            },
        )


def _found_wrong(check: CheckResult) -> str:
    """What a warning says: what should hold, and up to three examples of what does not."""
    such_as = f": {'; '.join(check.examples)}" if check.examples else ""
    return f"{check.sentence} (not so: {check.failing_rows:,}){such_as}"


def _known(instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]) -> dict[dg.AssetCheckKey, bool]:
    """Whether each check that was evaluated before passed the last time."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    told = {
        AssetCheckExecutionRecordStatus.SUCCEEDED: True,
        AssetCheckExecutionRecordStatus.FAILED: False,
    }
    return {key: told[record.status] for key, record in records.items() if record and record.status in told}
