"""What a rule says of a subject at one evaluation. Not here: how it comes to it (rules/), what follows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

ALL = "*"  # the subject of rules over everything
State = Literal["ok", "no_data", "not_evaluable"]
Input = int | float | str | bool | None


@dataclass(frozen=True)
class Verdict:
    """`raw`: the rule exactly as printed; `guarded`: raw, and the guard where it is on. Both False unless `ok`.

    `at`: the evaluation time T (UTC). `subject`: `*`, a component, an architecture or a commit. `inputs`: the numbers
    it rests on, always with `n` and `failures` of the rule's own window where it has one; then, where the rule has
    them: before_n, before_failures, machines_failing, units, unit_failures, baseline_units, baseline_failures,
    expected_share, chance, sure_below, share_at_least, shared_key (keys are not machines), previous, began_at; evidence
    and threshold (slow_regression); since, hours, expected, weeks, expected_machines, chance_by_machines (no_events);
    age_hours, watermark (data_stale); guard (`met`, `not_met`, `off`, `not_asked`) and why_not (the first part of the
    guard that is not met: machines, units, baseline, chance, seldom_seen, times_expected, points).
    """

    rule: str
    subject: str
    environment: str
    at: datetime
    state: State
    raw: bool = False
    guarded: bool = False
    inputs: Mapping[str, Input] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Identity of what it is about."""
        return f"{self.rule}|{self.subject}|{self.environment}"
