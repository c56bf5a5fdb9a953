"""How often a test that repeats itself does so: in short, or in long under MATOKIT_CHAOS=long (make chaos).

And how many examples a costly property is tried with.

Belongs here: the choice alone. Does not belong here: any of the tests, and how long `up` is watched.
"""

from __future__ import annotations

import os


def times(short: int, long: int) -> int:
    """`short` repetitions in make test-slow, `long` ones in make chaos; random ones are others each time."""
    return long if os.environ.get("MATOKIT_CHAOS") == "long" else short


def examples(all_of_them: int, some: int) -> int:
    """How many examples: all where CI tries the same ones each time, some elsewhere, where each run tries others."""
    return all_of_them if os.environ.get("CI") else some
