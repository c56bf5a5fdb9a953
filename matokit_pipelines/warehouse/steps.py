"""What SQL cannot say simply: functions that the rows of a model's query go through on the way into its table.

A model names its step in model.yaml. A step gets the counts of query.sql as a frame and gives a frame with the
columns of the table. Not here: the formulas (statistics.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache

import polars as pl

from matokit_pipelines import statistics
from matokit_pipelines.warehouse import ci_verdicts, commit_verdicts

Step = Callable[[pl.DataFrame], pl.DataFrame]

STEPS: Mapping[str, Step] = {
    "ci_vs_production": ci_verdicts.of_windows,
    "commit_regression": commit_verdicts.of_commits,
    "commit_regression_components": commit_verdicts.of_components,
}


@cache
def code() -> str:
    """The text of all that steps are made of: when it changes, tables that went through a step are derived anew."""
    modules = {module for step in STEPS.values() if (module := inspect.getmodule(step))} | {statistics}
    return "\0".join(inspect.getsource(module) for module in sorted(modules, key=lambda module: module.__name__))
