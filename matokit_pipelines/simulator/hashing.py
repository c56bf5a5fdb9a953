"""Numbers that look random and follow from their input alone, so that a simulation is the same each time.

Belongs here: mixing of 64-bit numbers. Does not belong here: draws in sequence (numpy's generators do those).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]


def mixed(numbers: U64, salt: int) -> U64:
    """A bijection of 64 bits, another one for another salt (the finaliser of splitmix64)."""
    z = numbers + np.uint64(salt * 0x1000003D % 2**64)
    z = z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def spread(numbers: U64, salt: int) -> NDArray[np.float64]:
    """Evenly spread shares in [0, 1)."""
    return (mixed(numbers, salt) >> np.uint64(11)).astype(np.float64) / 2**53
