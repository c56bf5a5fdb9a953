"""The events of a golden case: made from its series, read by the product's own SQL. Not here: what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.event_columns import NONE, Events, microseconds
from matokit_pipelines.warehouse.event_reading import LANDED, EventReader

DEFAULTS: Mapping[str, Any] = {
    "category": "Installer", "name": "python_install", "value": 1, "os": "Darwin24.4.0", "arch": "arm64",
    "commit": "a1b2c3d",
}  # fmt: skip
FIELDS = {*DEFAULTS, "start", "n", "step_s", "machine", "machine_from", "machine_mod", "arrives_at"}
MOST_EVENTS = 1_000_000


def instant(text: str) -> datetime:
    """An instant written in ISO with its zone, such as 2026-03-11T12:00:00Z; ValueError otherwise."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f'"{text}" has no zone')
    return found.astimezone(UTC)


def checked(given: Any, known: set[str], place: str) -> None:
    """SettingsError when a part of a case is no object or has a field that there is not."""
    if not isinstance(given, Mapping):
        raise SettingsError(f"{place} is no object; write its fields in braces.")
    if unknown := sorted(set(given) - known):
        raise SettingsError(f"{place} has no field {unknown[0]}; the fields are {', '.join(sorted(known))}.")


class CaseEvents:
    """Reads the events of cases; one reader a zone, made when it is needed first."""

    def __init__(self) -> None:
        self._readers: dict[str, EventReader] = {}

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()

    def read(
        self, series: Iterable[Mapping[str, Any]], zone: ZoneInfo, *, seen_at: datetime | None = None
    ) -> dict[str, Events]:
        """The counted events by environment; `seen_at`: only those that have arrived by then."""
        rows = [row for entry in series for row in _rows(entry) if seen_at is None or row["arrives_at"] <= seen_at]
        if not rows:
            return {}
        if zone.key not in self._readers:
            self._readers[zone.key] = EventReader(zone.key)
        landed = pl.DataFrame(rows, schema={**LANDED, "machine": pl.String, "arrives_at": pl.Datetime("us", "UTC")})
        found = self._readers[zone.key].read(landed).with_columns(machine=landed["machine"])
        return {
            str(environment): _events(part)
            for (environment,), part in found.filter(pl.col("counted")).group_by("environment", maintain_order=True)
        }

    def earliest_arrival(
        self, series: Iterable[Mapping[str, Any]], after: datetime, until: datetime, horizon: datetime
    ) -> datetime | None:
        """The earliest time, not before `horizon`, of the events that arrived in `(after, until]`; None without any."""
        rows = (row for entry in series for row in _rows(entry) if entry.get("arrives_at"))
        came = (row["event_ts"] for row in rows if after < row["arrives_at"] <= until)
        return min((at for at in came if at >= horizon), default=None)


def _rows(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The landed rows of one series. The machine is an identity, whatever else the events say."""
    checked(entry, FIELDS, "a series")
    given = {**DEFAULTS, **entry}
    start, step = instant(given["start"]), timedelta(seconds=given.get("step_s", 60))
    if not 0 <= int(given["n"]) <= MOST_EVENTS:
        raise ValueError(f"a series has {given['n']} events")
    if int(given.get("machine_mod", 1)) < 1:
        raise ValueError("machine_mod is less than 1")
    value = None if given["value"] is None else float(given["value"])
    arrives = instant(given["arrives_at"]) if "arrives_at" in given else None
    for number in range(int(given["n"])):
        at = start + number * step
        yield {
            "event_ts": at, "category": given["category"], "name": given["name"], "value": value,
            "os_raw": given["os"], "architecture_raw": given["arch"], "commit_raw": given["commit"],
            "machine": _machine(given, number), "arrives_at": arrives or at,
        }  # fmt: skip


def _machine(given: Mapping[str, Any], number: int) -> str:
    place = number + int(given.get("machine_from", 0))
    if "machine_mod" in given:
        place %= int(given["machine_mod"])
    return str(given.get("machine", "m{i}")).replace("{i}", str(place))


def _events(rows: pl.DataFrame) -> Events:
    """Rows of one environment as columns."""
    component, components = _coded(rows["component"])
    architecture, architectures = _coded(rows["architecture"])
    commit, commits = _coded(rows["commit_sha"])
    machine, _ = _coded(rows["machine"])
    return Events.of(
        ts=[microseconds(at) for at in rows["event_ts"].to_list()],
        failed=(rows["outcome"] == "failure").to_numpy(),
        machine=machine, component=component, components=components, architecture=architecture,
        architectures=architectures, commit=commit, commits=commits,
    )  # fmt: skip


def _coded(values: pl.Series) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]], list[str]]:
    """Places in the list of distinct texts, and that list; -1 for null."""
    names = sorted(values.drop_nulls().unique().to_list())
    places = {name: place for place, name in enumerate(names)}
    return np.array([places.get(value, NONE) for value in values.to_list()], dtype=np.int32), names
