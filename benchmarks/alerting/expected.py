"""What an earlier simulation of the same model with other code and other seeds found, and the limits drawn from it.

Shares in percent, delays in hours after the change; None where nothing was caught or no delay was told. Not here:
what this simulation finds.
"""

from __future__ import annotations

from dataclasses import dataclass

VOLUMES = (20, 100, 500, 5_000)
MOST_A_WEEK = 0.5  # false alarms of all rules together, at the volumes of JUDGED
JUDGED = (100, 500, 5_000)
POINTS_BELOW = 5.0  # a detection may be so many points below what is expected
ALL_RULES = "all"

RULES = (
    "overall_success_rate",
    "new_failure_pattern",
    "high_volume_failures",
    "arch_gap",
    "commit_regression",
    "component_failure_rate",
    "new_component_failure",
    "success_drop_7d",
    "slow_regression",
    "no_events",
)
# False alarms a week: (raw, guarded) by volume. slow_regression has no raw form; no_events was not simulated.
FALSE_ALARMS: dict[str, dict[int, tuple[float | None, float]]] = {
    "overall_success_rate": {20: (0.07, 0), 100: (0.19, 0.03), 500: (0.19, 0.02), 5_000: (0, 0), 100_000: (0, 0)},
    "new_failure_pattern": {20: (3.4, 0), 100: (14.2, 0.03), 500: (21.2, 0.21), 5_000: (10.5, 0.12), 100_000: (0, 0)},
    "high_volume_failures": {20: (0, 0), 100: (0, 0), 500: (0, 0), 5_000: (10.2, 0), 100_000: (10, 0)},
    "arch_gap": {20: (0.16, 0), 100: (0.06, 0), 500: (0, 0), 5_000: (0, 0), 100_000: (0, 0)},
    "commit_regression": {20: (0.33, 0.01), 100: (0.36, 0.03), 500: (0.27, 0.01), 5_000: (0.04, 0), 100_000: (0, 0)},
    "component_failure_rate": {20: (2.8, 0), 100: (2.8, 0.07), 500: (1.5, 0.07), 5_000: (0.58, 0.12), 100_000: (0, 0)},
    "new_component_failure": {20: (2.5, 0.03), 100: (3.2, 0.08), 500: (0.57, 0.02), 5_000: (0, 0), 100_000: (0, 0)},
    "success_drop_7d": {20: (3.2, 0), 100: (3.4, 0.04), 500: (1.2, 0.05), 5_000: (0.04, 0), 100_000: (0, 0)},
    "slow_regression": {
        20: (None, 0.05),
        100: (None, 0.12),
        500: (None, 0.05),
        5_000: (None, 0.04),
        100_000: (None, 0),
    },
    ALL_RULES: {20: (12.5, 0.08), 100: (24.1, 0.40), 500: (24.9, 0.42), 5_000: (21.4, 0.29), 100_000: (10, 0)},
}


@dataclass(frozen=True)
class Caught:
    """Share caught (percent) and median delay (hours)."""

    share: float
    delay: float | None = None


@dataclass(frozen=True)
class Detection:
    """Which rule is to catch which change within how many hours, and what was found: (raw, guarded) by volume.

    Nothing is expected at a volume that is not among them.
    """

    change: str
    rule: str
    horizon: int
    found: dict[int, tuple[Caught | None, Caught]]

    @property
    def key(self) -> str:
        return f"{self.change}|{self.rule}|{self.horizon}"


DETECTIONS = (
    Detection(
        "component",
        "new_failure_pattern",
        24,
        {
            20: (Caught(33), Caught(0)),
            100: (Caught(81, 3.0), Caught(11, 6.0)),
            500: (Caught(89, 1.8), Caught(47, 3.5)),
            5_000: (Caught(100, 1.6), Caught(100, 1.6)),
        },
    ),
    Detection(
        "component",
        "component_failure_rate",
        72,
        {
            20: (Caught(61), Caught(1)),
            100: (Caught(99, 22.0), Caught(72, 41.0)),
            500: (Caught(100, 20.0), Caught(100, 20.0)),
            5_000: (Caught(100, 20.0), Caught(100, 20.0)),
        },
    ),
    Detection(
        "component",
        "slow_regression",
        24,
        {20: (None, Caught(2)), 100: (None, Caught(35)), 500: (None, Caught(99)), 5_000: (None, Caught(100))},
    ),
    Detection(
        "component",
        "slow_regression",
        72,
        {
            20: (None, Caught(11)),
            100: (None, Caught(80, 31.0)),
            500: (None, Caught(100, 5.1)),
            5_000: (None, Caught(100, 0.5)),
        },
    ),
    Detection(
        "commit",
        "commit_regression",
        24,
        {
            20: (Caught(77), Caught(21)),
            100: (Caught(94, 0.2), Caught(78, 4.2)),
            500: (Caught(99, 0.2), Caught(98, 1.0)),
            5_000: (Caught(100, 0.2), Caught(100, 0.2)),
        },
    ),
    Detection("commit_among_others", "commit_regression", 24, {}),
    Detection(
        "outage",
        "overall_success_rate",
        6,
        {
            20: (Caught(29), Caught(9)),
            100: (Caught(90, 1.3), Caught(83, 1.7)),
            500: (Caught(100, 1.2), Caught(100, 1.2)),
            5_000: (Caught(100, 1.2), Caught(100, 1.2)),
        },
    ),
    Detection(
        "outage",
        "high_volume_failures",
        6,
        {
            20: (Caught(0), Caught(0)),
            100: (Caught(6), Caught(6)),
            500: (Caught(93, 1.0), Caught(93, 1.0)),
            5_000: (Caught(100, 0.1), Caught(100, 0.2)),
        },
    ),
    Detection(
        "architecture",
        "arch_gap",
        72,
        {
            20: (Caught(42), Caught(0)),
            100: (Caught(87, 39.0), Caught(49, 62.0)),
            500: (Caught(99, 36.0), Caught(99, 37.0)),
            5_000: (Caught(100, 38.0), Caught(100, 38.0)),
        },
    ),
)
