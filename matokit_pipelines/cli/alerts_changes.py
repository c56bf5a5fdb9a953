"""`--set guard.alpha=0.01`: settings of the alerts changed for one back-test. Not here: the back-test."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matokit_pipelines.errors import SettingsError

if TYPE_CHECKING:
    from matokit_pipelines.alert_settings import AlertSettings


def changed(settings: AlertSettings, changes: Sequence[str]) -> AlertSettings:
    """`settings` with each `KEY=VALUE` in force, later ones over earlier ones.

    A key is one of a rule (`rules.arch_gap.gap_points`, or `arch_gap.gap_points`), one that every rule has
    (`guard.alpha`, `keep_firing`: set for all), or one of all alerts (`daily_at`). Values are as in the settings
    file; text needs no quotes. SettingsError in one sentence for what is not a setting or may not have the value.
    """
    values: dict[str, Any] = settings.model_dump(by_alias=True)
    for change in changes:
        key, equals, text = (part.strip() for part in change.partition("="))
        if not equals or not key:
            raise SettingsError(f'"{change}" changes no setting; write --set guard.alpha=0.01.')
        for place in _places(key, values):
            _put(values, place, _value(text), key)
    return _checked(values)


def _places(key: str, values: Mapping[str, Any]) -> list[list[str]]:
    """The full paths that a key means."""
    path = key.removeprefix("alerts.").split(".")
    rules = values["rules"]
    if path[0] in values:
        return [path]
    if path[0] in rules:
        return [["rules", *path]]
    named = [["rules", name, *path] for name, rule in rules.items() if path[0] in rule]
    if len(named) == len(rules):
        return named
    known = sorted({*values, *rules, "guard"})
    near = difflib.get_close_matches(path[0], known, n=1)
    owner = f'; "rules.{named[0][1]}.{key}" is one' if named else f'; did you mean "{near[0]}"?' if near else ""
    raise SettingsError(f'--set: "{key}" is no setting of the alerts{owner or "; docs/alerts.md lists them"}.')


def _put(values: dict[str, Any], path: Sequence[str], value: Any, key: str) -> None:
    section: Any = values
    for name in path[:-1]:
        section = section.get(name) if isinstance(section, dict) else None
    if not isinstance(section, dict) or path[-1] not in section:
        known = ", ".join(sorted(section)) if isinstance(section, dict) else "none"
        raise SettingsError(f'--set: "{key}" is no setting of the alerts; there are {known}.')
    if isinstance(section[path[-1]], dict):
        raise SettingsError(
            f'--set: "{key}" is a group of settings; name one of {", ".join(sorted(section[path[-1]]))}.'
        )
    section[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked(values: Mapping[str, Any]) -> AlertSettings:
    from pydantic import ValidationError

    from matokit_pipelines.alert_settings import AlertSettings

    try:
        return AlertSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"--set: {key}: {message[:1].lower()}{message[1:]}.") from error
