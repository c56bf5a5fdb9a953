"""`alerts test`: rule cases from files, as `promtool test rules` for Prometheus. Not here: running one (alerts/)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, counted, frame_of

if TYPE_CHECKING:
    from matokit_pipelines.alerts.cases import CaseResult


def check_cases(
    context: typer.Context,
    files: list[Path] = typer.Argument(metavar="FILE...", help="Cases in the form of tests/fixtures/alert-cases.json."),
    settings: bool = typer.Option(
        False, "--settings", help="Judge by the settings in force here instead of the default ones."
    ),
    as_json: bool = AsJson,
) -> None:
    """Run cases of rules, life cycle, business days and late data; exit code 5 when one of them fails."""
    from matokit_pipelines.alerts.cases import run_cases
    from matokit_pipelines.errors import CHECK_FAILED

    frame = frame_of(context)
    chosen = frame.loaded().settings.alerts if settings else None
    found: list[tuple[Path, CaseResult]] = []
    for file in files:
        with frame.progress(f"Running {file.name}"):
            results = run_cases(file, chosen)
        found += [(file, result) for result in results]
        if not as_json:
            for result in results:
                frame.say(_line(result))
    failed = [result for _, result in found if not result.passed]
    if as_json:
        frame.rows([_row(file, result) for file, result in found], as_json=True)
    else:
        for sentence in _sections([result for _, result in found]):
            frame.say(sentence)
        frame.say(f"{counted(len(found), 'case')}, {len(found) - len(failed):,} passed, {len(failed):,} failed.")
    if failed:
        raise typer.Exit(CHECK_FAILED)


def _line(result: CaseResult) -> str:
    """One case on one line; what differs stands at its end."""
    if result.passed:
        return f"ok   {result.section} {result.id}"
    return f"FAIL {result.section} {result.id}: {'; '.join(' '.join(one.split()) for one in result.differs)}"


def _sections(results: list[CaseResult]) -> list[str]:
    """A count for each section, in the order in which they came."""
    every = Counter(result.section for result in results)
    passed = Counter(result.section for result in results if result.passed)
    return [f"{section}: {passed[section]:,} of {count:,} passed" for section, count in every.items()]


def _row(file: Path, result: CaseResult) -> dict[str, Any]:
    return {
        "file": str(file), "section": result.section, "id": result.id, "passed": result.passed,
        "differs": list(result.differs), "why": result.why,
    }  # fmt: skip
