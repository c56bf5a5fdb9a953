"""Reading the list of sites that an operator gives: numbered variables, a map, or an index document.

MATOKIT_SITE_<N>_ID and _NAME; and the first that is set of MATOKIT_SITE_INDEX_JSON, MATOMO_SITE_MAP and
MATOKIT_SITE_INDEX_PATH. Every fault is a SettingsError that names the variable and quotes no value of a document,
which may hold tokens. Not here: connections and the default (sites.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.settings import SITES

INDEX_JSON, INDEX_PATH, MAP = f"{SITES}INDEX_JSON", f"{SITES}INDEX_PATH", "MATOMO_SITE_MAP"
MOST_NUMBERED = 25
_NUMBERED = re.compile(rf"^{SITES}(\d+)_(ID|NAME)$")
_KNOWN = {"siteId", "id", "name", "url", "baseUrl", "tokenAuth", "tokenAuthVariable", "description", "tracking"}


@dataclass(frozen=True)
class Listed:
    """One site as listed. `where`: the variable that lists it. Empty text: not given.

    `token_variable` and `tracking_variable` name a variable that holds the token, or whose `_FILE` form does.
    """

    where: str
    id: str
    name: str
    url: str = ""
    base_url: str = ""
    token: str = field(default="", repr=False)
    token_variable: str = ""
    description: str = ""
    tracking_url: str = ""
    tracking_token: str = field(default="", repr=False)
    tracking_variable: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Registry:
    """The listed sites in their order. `default`: number or name that the document names, else empty."""

    listed: tuple[Listed, ...] = ()
    default: str = ""
    where: str = ""


def read_registry(environ: Mapping[str, str]) -> Registry:
    """What the environment lists; an empty registry where it lists nothing."""
    numbered = list(_numbered(environ))
    inline, mapped, path = (environ.get(name, "").strip() for name in (INDEX_JSON, MAP, INDEX_PATH))
    other = Registry()
    if inline:
        other = _document(inline, INDEX_JSON)
    elif mapped:
        other = Registry(tuple(_mapped(mapped)), where=MAP)
    elif path:
        other = _document(_text_of(path), INDEX_PATH)
    registry = Registry(tuple(_together(numbered, other.listed)), other.default, other.where)
    _no_strangers(environ, registry)
    return registry


def _numbered(environ: Mapping[str, str]) -> Iterator[Listed]:
    numbers = sorted({int(found[1]) for name in environ if (found := _NUMBERED.match(name))})
    if len(numbers) > MOST_NUMBERED:
        raise SettingsError(
            f"{SITES}{numbers[MOST_NUMBERED]}_ID is one too many; {MOST_NUMBERED} sites can be numbered, "
            f"use {INDEX_PATH} for more."
        )
    for expected, number in enumerate(numbers):
        if number != expected:
            raise SettingsError(f"{SITES}{expected}_ID is missing; number the sites from 0 without a gap.")
        variables = f"{SITES}{number}_ID", f"{SITES}{number}_NAME"
        for variable in variables:
            if not environ.get(variable, "").strip():
                raise SettingsError(f"{variable} is empty; give the site's {variable.rsplit('_', 1)[1].lower()}.")
        yield Listed(variables[0], _number(environ[variables[0]], variables[0]), environ[variables[1]].strip())


def _mapped(text: str) -> Iterator[Listed]:
    for entry in text.split(","):
        number, colon, name = entry.strip().partition(":")
        if not colon or not name.strip():
            raise SettingsError(f'{MAP} has an entry "{entry.strip()[:60]}"; write each as number:name.')
        yield Listed(MAP, _number(number, MAP), name.strip())


# -- the index document -----------------------------------------------------------------------------------------------


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{INDEX_PATH} names {path}, which cannot be read; correct it.") from error


def _document(text: str, where: str) -> Registry:
    try:
        found = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, where))
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise SettingsError(f"{where} is not valid JSON{place}; correct it.") from None
    entries = found.get("sites") if isinstance(found, dict) else found
    default = found.get("defaultSiteId") if isinstance(found, dict) else None
    if isinstance(entries, dict):
        pairs = [(str(key), value) for key, value in entries.items()]
    elif isinstance(entries, list):
        pairs = [("", value) for value in entries]
    else:
        raise SettingsError(f'{where} has no "sites"; list them by number, or as a list with siteId.')
    if not pairs:
        raise SettingsError(f"{where} lists no site; add one, or unset it.")
    listed = tuple(_entry(key, value, where, number) for number, (key, value) in enumerate(pairs))
    if isinstance(default, bool) or not isinstance(default, int | str | None) or default == "":
        raise SettingsError(f"{where}: defaultSiteId must be the number or name of a listed site.")
    return Registry(listed, str(default if default is not None else ""), where)


def _once(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SettingsError(f'{where} has the key "{twice[:60]}" twice; remove one.')
    return found


def _entry(key: str, value: Any, where: str, number: int) -> Listed:
    place = f"{where}: sites{f'.{key}' if key else f'[{number}]'}"
    if not isinstance(value, dict):
        raise SettingsError(f"{place} is not an object; write it as one with a name.")
    told = value.get("siteId", value.get("id", key or None))
    if isinstance(told, bool) or not isinstance(told, int | str):
        raise SettingsError(f"{place} has no siteId; add the number of the site.")
    identity = _number(str(told), place)
    if key and identity != _number(key, place):
        raise SettingsError(f"{place} has another siteId than its key; make them equal.")
    tracking = value.get("tracking")
    if tracking is not None and not isinstance(tracking, dict):
        raise SettingsError(f"{place}.tracking is not an object; write baseUrl and tokenAuth into one.")
    more = value.get("metadata")
    if more is not None and not isinstance(more, dict):
        raise SettingsError(f"{place}.metadata is not an object; make it one.")
    unknown = {name: told for name, told in value.items() if name not in _KNOWN and name != "metadata"}
    tracking = tracking or {}
    return Listed(
        where,
        identity,
        _text(value, "name", place, needed=True),
        url=_text(value, "url", place),
        base_url=_address(_text(value, "baseUrl", place), f"{place}.baseUrl"),
        token=_text(value, "tokenAuth", place),
        token_variable=_text(value, "tokenAuthVariable", place),
        description=_text(value, "description", place),
        tracking_url=_address(_text(tracking, "baseUrl", f"{place}.tracking"), f"{place}.tracking.baseUrl"),
        tracking_token=_text(tracking, "tokenAuth", f"{place}.tracking"),
        tracking_variable=_text(tracking, "tokenAuthVariable", f"{place}.tracking"),
        metadata={**(more or {}), **unknown},
    )


def _text(value: Mapping[str, Any], key: str, place: str, *, needed: bool = False) -> str:
    if value.get(key) is None and not needed:
        return ""
    told = value.get(key)
    if not isinstance(told, str) or not told.strip():
        raise SettingsError(f"{place}.{key} is {'empty' if told == '' else 'no text'}; give it, or leave it out.")
    return told.strip()


# -- checks -----------------------------------------------------------------------------------------------------------


def _number(text: str, where: str) -> str:
    said = text.strip()
    if not re.fullmatch(r"[0-9]{1,9}", said) or int(said) == 0:
        raise SettingsError(f'{where} has "{said[:20]}" for the number of a site; write a whole number above 0.')
    return str(int(said))


def _address(text: str, where: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(f'{where} must be a web address without credentials or "?" in it; correct it.')
    return text.removesuffix("index.php").rstrip("/")


def _together(numbered: list[Listed], others: tuple[Listed, ...]) -> Iterator[Listed]:
    """Both lists without repetition: the same site may stand in both under one name, and the fuller entry counts."""
    by_id: dict[str, Listed] = {}
    for group in (numbered, others):
        seen: set[str] = set()
        for entry in group:
            if entry.id in seen:
                raise SettingsError(f"{entry.where} lists site {entry.id} twice; remove one.")
            seen.add(entry.id)
            other = by_id.get(entry.id)
            if other and other.name.casefold() != entry.name.casefold():
                raise SettingsError(
                    f'{entry.where} names site {entry.id} "{entry.name}", {other.where} names it "{other.name}"; '
                    "choose one."
                )
            by_id[entry.id] = entry
    names: dict[str, Listed] = {}
    for entry in by_id.values():
        if entry.name.isascii() and entry.name.isdigit() and entry.name.lstrip("0") != entry.id:
            raise SettingsError(
                f'{entry.where} gives site {entry.id} the name "{entry.name[:20]}", which is the number of another '
                "site; choose a name that is none."
            )
        if (other := names.setdefault(entry.name.casefold(), entry)) is not entry:
            raise SettingsError(
                f'{entry.where} gives site {entry.id} the name "{entry.name}", which site {other.id} has; '
                "choose another."
            )
        yield entry


def _no_strangers(environ: Mapping[str, str], registry: Registry) -> None:
    """A misspelt variable of the list is told instead of passed over."""
    meant = {name for entry in registry.listed for name in (entry.token_variable, entry.tracking_variable) if name}
    for name in sorted(environ):
        if not name.startswith(SITES) or name in (INDEX_JSON, INDEX_PATH) or _NUMBERED.match(name):
            continue
        if name.removesuffix("_FILE") not in meant:
            raise SettingsError(
                f"{name} is not a variable of the list of sites; known: {SITES}<N>_ID, {SITES}<N>_NAME, {INDEX_JSON}, "
                f"{INDEX_PATH}."
            )
