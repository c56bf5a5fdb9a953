"""`alerts evaluate`: one pass over the alerts, now. Not here: the pass (alerts/passes.py), sending (outbox.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import AsJson, counted, frame_of, moment_of

if TYPE_CHECKING:
    from datetime import datetime

    from matokit_pipelines.alerts.passes import PassReport


def evaluate(context: typer.Context, as_json: bool = AsJson) -> None:
    """Evaluate what is due; what is to be told goes into the outbox, and `matokit outbox drain` sends it."""
    from dataclasses import asdict

    from matokit_pipelines.alerts.passes import run_pass
    from matokit_pipelines.errors import SettingsError

    frame = frame_of(context)
    home = frame.home()
    if not home.loaded.settings.alerts.enabled:
        raise SettingsError("Alerts are switched off; set alerts.enabled = true to evaluate them.")
    with frame.progress("Evaluating") as step:
        report = run_pass(home, progress=step)
    if as_json:
        frame.rows([asdict(report)], as_json=True)
        return
    for sentence in in_words(report, home.clock.now()):
        frame.say(sentence)


def in_words(report: PassReport, now: datetime) -> list[str]:
    """What a pass did."""
    if report.watermark is None:
        return ["Nothing to evaluate: no source is complete to any moment yet; run `matokit run` first."]
    again = f", {report.again:,} earlier ones again for late events" if report.again else ""
    queued = f", {counted(report.queued, 'message')} queued" if report.queued else ", nothing to tell"
    return [
        f"{counted(report.ticks, 'evaluation')}{again}: {report.started:,} began, {report.ended:,} ended, "
        f"{report.open:,} open{queued}.",
        f"Data are complete to {moment_of(report.watermark, now)}.",
    ]
