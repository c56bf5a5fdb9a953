"""From what machines did to what their installer sends, in the form of the design document, with its meaning.

Belongs here: the main stream (basic and enhanced functions, run markers). Does not belong here: other eras (eras).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from matokit_pipelines.simulator.commits import Timeline
from matokit_pipelines.simulator.hashing import mixed
from matokit_pipelines.simulator.machines import (
    ENVIRONMENTS,
    MARKERS,
    PARTIAL_END,
    START,
    STEPS,
    Attempts,
    Fleet,
    Ints,
)
from matokit_pipelines.simulator.platforms import OS_TEXTS, SPELLINGS

SCHEMA: dict[str, Any] = {
    "event_ts": pl.Datetime("us", "UTC"),
    "visitor_id": pl.String,
    "category": pl.String,
    "action": pl.String,
    "name": pl.String,
    "value": pl.Float64,
    "dimension1": pl.String,
    "dimension2": pl.String,
    "dimension3": pl.String,
    "url": pl.String,
    "environment": pl.String,
    "component": pl.String,
    "outcome": pl.String,
    "form": pl.String,
    "counted": pl.Boolean,
    "error_type": pl.String,
    "duration_s": pl.Float64,
    "architecture": pl.String,
    "os_family": pl.String,
    "os_version": pl.String,
    "os_release": pl.String,
    "commit_sha": pl.String,
    "machine": pl.Int64,
    "in_scope": pl.Boolean,
}
# Suffixes a sender adds to a name, without their underscore, and the error type each stands for.
ERROR_TYPES = {
    "permission_error": "permission",
    "network_error": "network",
    "disk_error": "disk",
    "missing_dependency": "missing_dependency",
    "unknown_error": "unknown",
    "already_exists": "already_exists",
    "version_error": "version",
}
_SUFFIXES = tuple(ERROR_TYPES)
_ERROR_SHARES = (0.20, 0.40, 0.12, 0.08, 0.15, 0.03, 0.02)
_CATEGORIES = {"production": ("Installer", "Installer_PROD"), "ci": ("Installer_CI",), "test": ("Installer_TEST",)}
_NAMES = [step.name for step in STEPS] + [MARKERS[i] for i in sorted(MARKERS)]
_UNKNOWN_COMMIT, _UPPER, _LONG = 0.02, 0.01, 0.01


def visitors(machines: Ints, seed: int) -> list[str]:
    """Visitor ids (16 hexadecimal digits) of machine numbers: a bijection of 64 bits, so never twice the same."""
    return [f"{number:016x}" for number in mixed(machines.astype(np.uint64), seed % 2**32).tolist()]


def main_stream(
    attempts: Attempts, machines: Fleet, commit: Ints, line: Timeline, seed: int, rng: np.random.Generator
) -> pl.DataFrame:
    """One row an attempt, columns as SCHEMA, unordered.

    Basic commits send 1 or 0; enhanced ones whole seconds, and 0 with a suffix on failure. The meaning of a bare
    0 or 1 follows the documented policy (evidence of the enhanced form within component, environment, commit).
    """
    who, step = attempts.machine, attempts.step
    marker = step >= START
    enhanced = line.enhanced[commit][who] & ~marker
    error = rng.choice(len(_SUFFIXES), size=len(who), p=_ERROR_SHARES)
    suffixed = enhanced & ~attempts.success
    value = np.where(enhanced, np.where(suffixed, 0, attempts.seconds), attempts.success | marker).astype(float)
    frame = pl.DataFrame(
        {
            "event_ts": pl.Series((np.floor(attempts.when) * 1e6).astype(np.int64)).cast(SCHEMA["event_ts"]),
            "machine": who,
            "component": _gather(_NAMES, step),
            "value": value,
            "suffix": _gather([*_SUFFIXES, None], np.where(suffixed, error, len(_SUFFIXES))),
            "success": attempts.success,
            "marker": marker,
            "enhanced": enhanced,
            "step": step,
        }
    )
    frame = frame.with_columns(
        name=pl.concat_str("component", "suffix", separator="_", ignore_nulls=True),
        error_type=pl.col("suffix").replace_strict(ERROR_TYPES, return_dtype=pl.String),
    )
    frame = _meaning(frame.hstack(_machine_columns(who, machines, commit, line, seed, rng)))
    return frame.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def _machine_columns(
    who: Ints, machines: Fleet, commit: Ints, line: Timeline, seed: int, rng: np.random.Generator
) -> pl.DataFrame:
    count = len(machines)
    environment = [ENVIRONMENTS[i] for i in machines.environment.tolist()]
    second = rng.random(count) < 0.2
    categories = [_CATEGORIES[env][-1 if two else 0] for env, two in zip(environment, second.tolist(), strict=True)]
    texts = [OS_TEXTS[i] for i in machines.text.tolist()]
    spellings = [SPELLINGS[i] for i in machines.spelling.tolist()]
    shas = [line.sha[i] for i in commit.tolist()]
    # Only basic commits lose their name now and then: durations without a commit would make zeros unreadable.
    odd = rng.random(count)
    unknown = (odd < _UNKNOWN_COMMIT) & ~line.enhanced[commit]
    sent = [_commit_text(sha, float(x), bool(lost)) for sha, x, lost in zip(shas, odd, unknown, strict=True)]
    table = pl.DataFrame(
        {
            "visitor_id": visitors(np.arange(count, dtype=np.int64), seed),
            "environment": environment,
            "category": categories,
            "dimension1": pl.Series([text.sent for text in texts], dtype=pl.String),
            "os_family": [text.family for text in texts],
            "os_version": pl.Series([text.version for text in texts], dtype=pl.String),
            "os_release": [text.release for text in texts],
            "dimension2": pl.Series([row.sent for row in spellings], dtype=pl.String),
            "architecture": [row.architecture for row in spellings],
            "dimension3": pl.Series(sent, dtype=pl.String),
            "commit_sha": pl.Series(
                [None if lost else sha for sha, lost in zip(shas, unknown.tolist(), strict=True)], dtype=pl.String
            ),
        }
    )
    return table[who]


def _commit_text(sha: str, odd: float, unknown: bool) -> str:
    if unknown:
        return "unknown"
    if 0.5 <= odd < 0.5 + _UPPER:
        return sha.upper()
    return sha + "0" * 33 if 0.6 <= odd < 0.6 + _LONG else sha


def _meaning(frame: pl.DataFrame) -> pl.DataFrame:
    key = ["environment", "commit_sha", "component"]
    long = pl.col("value").filter(pl.col("value") >= 2)
    evidence = (pl.col("error_type").is_not_null() | (pl.col("value") >= 2)).any().over(key)
    # Quick steps: a group of rows where zero would be ambiguous (no evidence, or ones beside long
    # durations) takes two seconds instead, so that the policy gives one clear answer.
    unclear = ~evidence | (long.median().over(key).fill_null(0) >= 4)
    quick = pl.col("enhanced") & pl.col("error_type").is_null() & (pl.col("value") < 2)
    frame = frame.with_columns(value=pl.when(quick & unclear).then(2.0).otherwise("value"))
    value, suffix = pl.col("value"), pl.col("error_type").is_not_null()
    ends = {START: "started", START + 1: "success", PARTIAL_END: "partial"}
    return frame.with_columns(
        action=pl.lit("Event"),
        url=pl.lit(None, dtype=pl.String),
        in_scope=pl.lit(True),
        counted=~pl.col("marker"),
        form=pl.when("marker")
        .then(pl.lit("marker"))
        .when(suffix | (value >= 2))
        .then(pl.lit("enhanced"))
        .otherwise(pl.lit("ambiguous")),
        outcome=pl.when("marker")
        .then(pl.col("step").replace_strict(ends, default=None, return_dtype=pl.String))
        .when("success")
        .then(pl.lit("success"))
        .otherwise(pl.lit("failure")),
        duration_s=pl.when(pl.col("enhanced") & ~suffix).then(value),
        component=pl.when("marker").then(pl.lit("orchestrator")).otherwise("component"),
    )


def _gather(values: list[Any], index: Ints) -> pl.Series:
    return pl.Series(values, dtype=pl.String).gather(index)
