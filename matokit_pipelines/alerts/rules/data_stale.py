"""data_stale: data are complete to long ago only. By the clock on the wall, not by ticks: no tick comes then."""

from __future__ import annotations

from datetime import datetime, timedelta

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.verdicts import ALL, Input, Verdict

RULE = "data_stale"


def stale_verdict(watermark: datetime | None, now: datetime, settings: AlertSettings) -> Verdict:
    """Whether complete data, known up to `watermark`, are too old at `now`; not evaluable before anything is known."""
    rule, environment = settings.rules.data_stale, settings.environments[0]
    if watermark is None:
        return Verdict(RULE, ALL, environment, now, "not_evaluable", inputs={"guard": "off"})
    age = now - watermark
    is_stale = age > timedelta(hours=rule.after_hours)
    inputs: dict[str, Input] = {
        "age_hours": age / timedelta(hours=1), "watermark": watermark.isoformat(), "guard": "off",
    }  # fmt: skip
    return Verdict(RULE, ALL, environment, now, "ok", is_stale, is_stale, inputs)
