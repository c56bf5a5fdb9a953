"""Verdicts, episodes and where alerts stand as plain values for JSON, and back. Not here: where they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Matter, Thread
from matokit_pipelines.alerts.lifecycle import Instance, Telling
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.state import instant, moment

Plain = dict[str, Any]
ONE_MICROSECOND = timedelta(microseconds=1)


def of_time(value: datetime) -> str:
    """An instant as text."""
    return str(moment(value))


def time_of(text: str) -> datetime:
    """What `of_time` wrote. ValueError for anything else."""
    found = instant(text)
    if found is None:
        raise ValueError("a time is missing")
    return found


def plain(value: Any) -> Any:
    """A number of a library as one of Python, for json.dumps; TypeError for what is no number."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain value")


def of_verdict(verdict: Verdict) -> Plain:
    """A verdict as plain values."""
    return {
        "rule": verdict.rule, "subject": verdict.subject, "environment": verdict.environment, "at": of_time(verdict.at),
        "state": verdict.state, "raw": verdict.raw, "guarded": verdict.guarded, "inputs": dict(verdict.inputs),
    }  # fmt: skip


def verdict_of(found: Mapping[str, Any]) -> Verdict:
    """What `of_verdict` wrote."""
    return Verdict(**{**found, "at": time_of(found["at"])})


def of_episode(episode: Episode) -> Plain:
    """An episode as plain values."""
    return _plain_fields(episode)


def episode_of(found: Mapping[str, Any]) -> Episode:
    """What `of_episode` wrote."""
    return Episode(**_fields(Episode, found))


def of_instance(instance: Instance) -> Plain:
    """Where an alert stands, as plain values."""
    return _plain_fields(instance)


def instance_of(found: Mapping[str, Any]) -> Instance:
    """What `of_instance` wrote."""
    return Instance(**_fields(Instance, found))


def of_matter(matter: Matter) -> Plain:
    """An episode with what was told of it, as plain values."""
    return _plain_fields(matter)


def matter_of(found: Mapping[str, Any]) -> Matter:
    """What `of_matter` wrote."""
    values = _fields(Matter, found)
    return Matter(**{**values, "silenced_by": tuple(values["silenced_by"])})


def of_thread(thread: Thread) -> Plain:
    """A conversation as plain values."""
    return _plain_fields(thread)


def thread_of(found: Mapping[str, Any]) -> Thread:
    """What `of_thread` wrote."""
    return Thread(**_fields(Thread, found))


_TIMES = {
    "at", "measured_at", "clear_from", "started_at", "detected_at", "ended_at", "began_at", "told_at", "last_told_at",
    "due", "opened_at",
}  # fmt: skip
_SPANS = {"held", "clear"}
_VERDICTS = {"first", "worst", "last", "start", "verdict"}


def _plain_fields(value: Any) -> Plain:
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return of_time(value)
    if isinstance(value, timedelta):
        return value // ONE_MICROSECOND
    if isinstance(value, Verdict):
        return of_verdict(value)
    if isinstance(value, Episode | Telling):
        return _plain_fields(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value


def _fields(kind: Any, found: Mapping[str, Any]) -> Plain:
    names = {field.name for field in fields(kind)}
    return {name: _value(name, value) for name, value in found.items() if name in names}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _TIMES:
        return time_of(value)
    if name in _SPANS:
        return value * ONE_MICROSECOND
    if name in _VERDICTS:
        return verdict_of(value)
    if name == "episode":
        return episode_of(value)
    if name == "telling":
        return Telling(**_fields(Telling, value))
    return value
