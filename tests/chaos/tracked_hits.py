"""What arrived at a Matomo while tracking servers were killed, and whether that is what callers were promised.

Belongs here: the stub, and the comparison. Not here: who is killed and when.
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matokit_pipelines import state
from matokit_pipelines.toolserver.tracking import rows
from tests.answering import Asked, Told


@dataclass
class Matomo:
    """What arrived, in order, and what is answered: mostly 204; now and then it is down, or its answer is lost."""

    dice: random.Random
    arrived: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_calm: bool = False

    def answer(self, asked: Asked) -> Told:
        with self.lock:
            luck = 1.0 if self.is_calm else self.dice.random()
            if luck < 0.05:
                return Told(503)
            if luck < 0.07:
                return Told(502)
            self.arrived.append(asked.form["e_n"])
            return Told(502 if luck < 0.09 else 204)

    def first_arrivals(self) -> dict[str, list[int]]:
        """The numbers of each caller's hits in the order in which each arrived first."""
        found: dict[str, list[int]] = {}
        for told in dict.fromkeys(self.arrived):
            name, number = told.split(":")
            found.setdefault(name, []).append(int(number))
        return found


def number_of(told: str) -> int:
    return int(told.split(":")[1])


def dead(home: Path) -> dict[str, dict[str, Any]]:
    """Dead hits by what they tell."""
    with state.opened(home) as store:
        found = store.execute("select payload, is_once, is_unknown, error from tracking_queue where state = 'dead'")
        return {json.loads(row["payload"])["e_n"]: dict(row) for row in found}


def check(home: Path, matomo: Matomo, begun: Collection[str], accepted: set[str]) -> Counter[str]:
    """Everything that was accepted came to what it was promised; gives how often what happened.

    begun: what callers asked for, by name (keyed... with an idempotency key) and number; accepted: what was answered.
    """
    lost, came = dead(home), Counter(matomo.arrived)
    keyed = {told for told in begun if told.startswith("keyed")}
    assert [told for told in accepted - keyed if not came[told]] == []
    assert [told for told in keyed if came[told] > 1] == []
    assert [told for told in accepted & keyed if not came[told] and told not in lost] == []
    for name, numbers in matomo.first_arrivals().items():
        assert numbers == sorted(numbers), name
    for told, row in lost.items():
        assert told in keyed
        assert (row["is_once"], row["is_unknown"]) == (1, 1)
        assert row["error"].startswith(rows.UNKNOWN)
    with sqlite3.connect(state.file_of(home)) as store:
        assert store.execute("pragma integrity_check").fetchone()[0] == "ok"
    return Counter(accepted=len(accepted), unknown=len(lost), twice=sum(one > 1 for one in came.values()))
