"""Comparisons of rates in whole numbers: a threshold is met or not, whatever the last digit of a division says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.warehouse.event_columns import Bools, Ints

_MOST = 2**62


def is_below(part: Ints, whole: Ints, percent: float) -> Bools:
    """Whether `part` of `whole` is less than `percent`; no where there is nothing."""
    limit = Fraction(str(percent))
    return _wide(part) * (100 * limit.denominator) < _wide(whole) * limit.numerator


def is_above(part: Ints, whole: Ints, percent: float) -> Bools:
    """Whether `part` of `whole` is more than `percent`; no where there is nothing."""
    limit = Fraction(str(percent))
    return _wide(part) * (100 * limit.denominator) > _wide(whole) * limit.numerator


def is_more_by(part: Ints, whole: Ints, other_part: Ints, other_whole: Ints, points: float) -> Bools:
    """Whether the share of `part` is above that of `other_part` by more than `points`; no where a side is empty."""
    limit = Fraction(str(points))
    difference = _wide(part) * _wide(other_whole) - _wide(other_part) * _wide(whole)
    return np.asarray(
        difference * (100 * limit.denominator) > _wide(whole) * _wide(other_whole) * limit.numerator, dtype=np.bool_
    )


def _wide(counts: Ints) -> NDArray[Any]:
    """Whole numbers that do not overflow: Python's where counts are large."""
    return counts.astype(object) if counts.size and int(counts.max()) > 100_000 else counts
