"""Every setting once: name, type, default, one sentence; where each value came from; secrets, from the environment.

Order, first found wins: `--config`, `MATOKIT_CONFIG`, `./matokit.toml`, `$MATOKIT_HOME/matokit.toml`, else defaults.
Any key can be overridden as `MATOKIT_<SECTION>_<KEY>`; for a source the section is its name. Unknown keys are errors.
Not here: what the settings do.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.delivery_settings import LinkSettings, RecipientSettings, SlackSettings, SmtpSettings
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.report_settings import ReportSettings
from matokit_pipelines.section import Section
from matokit_pipelines.toolserver_settings import ToolserverSettings, WebReportSettings

FILE_NAME = "matokit.toml"
HOME_NAME = ".matokit"
NO_SOURCE = "No source is set up; `matokit init` writes a settings file to begin with."
PREFIX = "MATOKIT_"
Environment = Literal["production", "test", "development", "ci", "staging", "unknown"]
Outcome = Literal["success", "failure", "partial", "started", "finished", "cancelled", "unknown"]
Meaning = Literal[
    "os", "architecture", "commit", "duration", "error_type", "exit_code", "run_id", "event_id", "contract"
]
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_SOURCE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


_Any = TypeVar("_Any", bound=BaseModel)


class ProjectSettings(Section):
    """What the whole project shares."""

    timezone: str = Field("UTC", description="Zone in which days are cut; fixed for the life of a home.")
    repository_url: str = Field("", description="Web address of the scripts' repository, for links to commits.")

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError('is not an IANA time zone such as "Europe/Copenhagen"')
        return value

    @field_validator("repository_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if value and not re.match(r"^https?://[^/\s?#@]+", value):
            raise ValueError('must be a web address such as "https://github.com/example/install-scripts"')
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


Kind = Literal["piwik_pro", "matomo"]
_PAGE_SIZES: dict[Kind, tuple[int, int]] = {"piwik_pro": (100_000, 100_000), "matomo": (500, 10_000)}
_RETENTION_DAYS: dict[Kind, int] = {"piwik_pro": 14 * 30, "matomo": 180}
_SECRETS: dict[Kind, tuple[str, ...]] = {"piwik_pro": ("CLIENT_ID", "CLIENT_SECRET"), "matomo": ("TOKEN",)}


class SourceSettings(Section):
    """One analytics site that is read. Credentials come from the environment: MATOKIT_<NAME>_CLIENT_ID and
    MATOKIT_<NAME>_CLIENT_SECRET for Piwik PRO, MATOKIT_<NAME>_TOKEN for Matomo."""

    name: str = Field(description="Short name, lower case; part of the names of the variables with its credentials.")
    kind: Kind = Field(description='What answers at the url: "piwik_pro" or "matomo".')
    url: str = Field(description="Address of the account (Piwik PRO), or of the folder with index.php (Matomo).")
    site_id: str = Field(description="Id of the site (Piwik PRO: a UUID), or its number (Matomo).")
    provides: tuple[Literal["installer_events", "web_reports"], ...] = Field(
        ("installer_events",),
        min_length=1,
        description='What is read from it: "installer_events", and of a Matomo also "web_reports".',
    )
    mirror_of: str | None = Field(
        None,
        description="Name of the source that receives the same events; this one is then compared and never counted.",
        json_schema_extra={"kind": "none"},
    )
    dimensions: dict[Meaning, int] = Field(
        {"os": 1, "architecture": 2, "commit": 3},
        description="Which custom dimension carries what, by the id that is sent; others are never read.",
    )
    slots: dict[Meaning, int] = Field(
        default_factory=dict,
        description="Piwik PRO: slots of event dimensions, where the catalogue that maps ids to slots may not be read.",
        json_schema_extra={"kind": "piwik_pro"},
    )
    real_time: bool | None = Field(
        None,
        description="Piwik PRO: read the last hour provisionally; default: as the site's real-time dashboards are set.",
        examples=[True],
        json_schema_extra={"kind": "piwik_pro"},
    )
    start_date: date | None = Field(
        None,
        ge=date(2000, 1, 1),
        description="First day to read; default: 90 days before the first pass.",
        examples=[date(2026, 1, 31)],
    )
    page_size: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Rows (Piwik PRO, default 100000) or visits (Matomo, default 500) asked for at once.",
        examples=[500],
    )
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days the server keeps raw data (default 420 or 180); nothing older is taken for deleted.",
        examples=[180],
    )

    @property
    def rows_a_page(self) -> int:
        """What is asked for at once: `page_size`, or what suits the kind."""
        return self.page_size or _PAGE_SIZES[self.kind][0]

    @property
    def kept_days(self) -> int:
        """Days the server keeps raw data: `retention_days`, or what the kind of server does by itself."""
        return self.retention_days or _RETENTION_DAYS[self.kind]

    @property
    def has_events(self) -> bool:
        """Whether installer events are read from it."""
        return "installer_events" in self.provides

    @property
    def has_web_reports(self) -> bool:
        """Whether Matomo's web reports are read from it."""
        return "web_reports" in self.provides

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The variables that hold the source's credentials."""
        return tuple(f"{PREFIX}{self.name.upper()}_{part}" for part in _SECRETS[self.kind])

    @property
    def secret_name(self) -> str:
        """What a person calls the credentials."""
        return "token" if self.kind == "matomo" else "credential"

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SourceSettings:
        if self.kind == "piwik_pro" and not _UUID.match(self.site_id):
            raise ValueError(
                f'site_id "{self.site_id}" of source {self.name} is not an id of Piwik PRO, such as '
                "00000000-0000-4000-8000-000000000000"
            )
        if (self.page_size or 1) > _PAGE_SIZES[self.kind][1]:
            raise ValueError(f"page_size of source {self.name} may be {_PAGE_SIZES[self.kind][1]} at most")
        if self.kind == "piwik_pro" and "web_reports" in self.provides:
            raise ValueError(f"source {self.name} cannot provide web_reports, which are read from a Matomo only")
        for key in ("slots", "real_time"):
            if self.kind == "matomo" and getattr(self, key):
                raise ValueError(f"{key} of source {self.name} is for Piwik PRO only")
        if self.mirror_of == self.name:
            raise ValueError(f"source {self.name} cannot be a mirror of itself")
        for what, numbers in (("dimensions", self.dimensions), ("slots", self.slots)):
            twice = sorted(number for number in set(numbers.values()) if list(numbers.values()).count(number) > 1)
            if twice:
                raise ValueError(f"{what} of source {self.name} gives {twice[0]} two meanings")
        return self

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not _SOURCE_NAME.match(value):
            raise ValueError("must be lower-case letters, digits and _, beginning with a letter")
        return value

    @field_validator("site_id", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not re.match(r"^https?://[^/\s?#@]+(/[^\s?#@]*)?$", value) or not _has_host(value):
            raise ValueError(
                'must be a web address such as "https://matomo.example.org", without credentials or "?" in it'
            )
        return value.removesuffix("index.php").rstrip("/")


def _has_host(url: str) -> bool:
    """Whether an address can be taken apart: brackets closed, the port a number in range."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class CodeMeaning(Section):
    """What one numeric code of a codes-only installer tells; without a component it is about the whole run."""

    component: str | None = None
    outcome: Outcome

    @property
    def parts(self) -> tuple[str | None, str]:
        return self.component, self.outcome


class EventSettings(Section):
    """How events are read."""

    environments: dict[str, Environment] = Field(
        default_factory=dict, description="Category -> environment, beside or instead of the built-in ones."
    )
    component_codes: dict[int, CodeMeaning] = Field(
        default_factory=dict,
        description='Further numeric codes -> what they tell, such as 12 = { component = "r", outcome = "success" }.',
    )
    zero_value: Literal["failure", "success", "unknown"] = Field(
        "failure", description="What value 0 means where both logging functions are in use."
    )


class HttpSettings(Section):
    """How patient to be with a server."""

    connect_timeout: float = Field(10.0, gt=0, le=3_600, description="Seconds to wait for a connection.")
    read_timeout: float = Field(90.0, gt=0, le=3_600, description="Seconds to wait for (the next part of) an answer.")
    attempts: int = Field(6, ge=1, le=20, description="Tries for a failure that passes.")
    first_wait: float = Field(0.5, ge=0, le=3_600, description="Seconds before the second try; grows, with jitter.")
    longest_wait: float = Field(30.0, ge=0, le=3_600, description="Seconds between two tries at most.")
    budget: float = Field(3600.0, gt=0, le=604_800, description="Seconds that one pass over one source may take.")
    requests: int = Field(
        1000, ge=20, le=1_000_000, description="Requests that one pass may make to one source; the next one goes on."
    )


class OrchestrationSettings(Section):
    """When things happen by themselves, under `matokit up`."""

    refresh_minutes: int = Field(5, ge=1, le=60, description="Minutes between two looks at the sources for news.")


class Settings(Section):
    """All settings."""

    project: ProjectSettings = Field(default_factory=ProjectSettings)
    sources: tuple[SourceSettings, ...] = ()
    events: EventSettings = Field(default_factory=EventSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    orchestration: OrchestrationSettings = Field(default_factory=OrchestrationSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    reports: ReportSettings = Field(default_factory=ReportSettings)
    recipients: RecipientSettings = Field(default_factory=RecipientSettings)
    slack: SlackSettings = Field(default_factory=SlackSettings)
    smtp: SmtpSettings = Field(default_factory=SmtpSettings)
    links: LinkSettings = Field(default_factory=LinkSettings)
    web_reports: WebReportSettings = Field(default_factory=WebReportSettings)
    toolserver: ToolserverSettings = Field(default_factory=ToolserverSettings)

    @model_validator(mode="after")
    def _names_differ(self) -> Settings:
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two sources are named "{name}"')
            if name in SECTIONS:
                raise ValueError(f'a source may not be named "{name}", which is a section of the settings')
        counted = {source.name for source in self.sources if source.mirror_of is None}
        seen: dict[tuple[str, str, str], str] = {}
        for source in self.sources:
            place = (source.kind, source.url.lower(), source.site_id.lower())
            if source.name in counted and (other := seen.setdefault(place, source.name)) != source.name:
                raise ValueError(
                    f"sources {other} and {source.name} read the same site, so each event would count twice; remove one"
                )
        for source in self.sources:
            if source.mirror_of is not None and source.mirror_of not in counted:
                known = ", ".join(sorted(counted - {source.name})) or "none"
                raise ValueError(
                    f'source {source.name} is mirror_of "{source.mirror_of}", which is no source that counts; '
                    f"known: {known}"
                )
        return self

    def source(self, name: str) -> SourceSettings:
        """The source of that name; SettingsError names those there are."""
        for source in self.sources:
            if source.name == name:
                return source
        known = ", ".join(source.name for source in self.sources) or "none"
        raise SettingsError(f'There is no source "{name}" in the settings; known: {known}.')


SECTIONS: dict[str, type[Section]] = {
    "project": ProjectSettings,
    "events": EventSettings,
    "http": HttpSettings,
    "orchestration": OrchestrationSettings,
    "alerts": AlertSettings,
    "reports": ReportSettings,
    "recipients": RecipientSettings,
    "slack": SlackSettings,
    "smtp": SmtpSettings,
    "links": LinkSettings,
    "web_reports": WebReportSettings,
    "toolserver": ToolserverSettings,
}
SECRETS_OF_SECTIONS = (
    "MATOKIT_SLACK_TOKEN",
    "MATOKIT_SLACK_WEBHOOK",
    "MATOKIT_SMTP_PASSWORD",
    "MATOKIT_TOOLSERVER_TOKEN",
    "MATOKIT_TOOLSERVER_PAGES_TOKEN",
)
WEBHOOK = "MATOKIT_WEBHOOK_"  # and the name of a webhook
CALLER = "MATOKIT_TOOLSERVER_TOKEN_"  # and the name of a caller of the tool server
SITES = "MATOKIT_SITE_"  # the tool server's list of sites: toolserver/sites.py reads it


@dataclass(frozen=True)
class Loaded:
    """Settings with where they came from. `origin`: dotted key -> file name or variable; absent = default."""

    settings: Settings
    home: Path
    file: Path | None
    origin: Mapping[str, str]
    environ: Mapping[str, str] = field(repr=False)
    strangers: tuple[str, ...] = ()  # variables that begin like ours and mean nothing

    def secret(self, variable: str) -> str | None:
        """The secret in `variable`, or in the file that `<variable>_FILE` names, read anew each time."""
        if value := self.environ.get(variable):
            return value
        if name := self.environ.get(variable + "_FILE"):
            try:
                return Path(name).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{variable}_FILE names {name}, which cannot be read; correct it.") from error
        return None

    def credentials(self, source: SourceSettings) -> tuple[str, ...]:
        """The secrets of a source, in the order of its `secret_variables`; SettingsError names what is missing."""
        found = tuple((self.secret(variable) or "").strip() for variable in source.secret_variables)
        if source.name == PREDECESSOR_NAME and source.kind == "matomo":
            found = (found[0] or (self.secret("MATOMO_TOKEN") or "").strip(),)
        for variable, value in zip(source.secret_variables, found, strict=True):
            if not value:
                what = "token; put one" if source.kind == "matomo" else f"{_SPOKEN[variable[-3:]]}; put that of one"
                where = f"{variable} or MATOMO_TOKEN" if source.name == PREDECESSOR_NAME else variable
                raise SettingsError(
                    f"Source {source.name} has no {what} with view access into {where} "
                    f"(or name a file in {variable}_FILE)."
                )
        return found


_SPOKEN = {"_ID": "client id", "RET": "client secret"}
PREDECESSOR_NAME = "matomo"


def load(config: Path | None = None, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Loaded:
    """Find, read and check the settings. SettingsError in one sentence for anything wrong."""
    here = (cwd or Path.cwd()).resolve()
    outside = dict(os.environ if environ is None else environ)
    file = _find(config, outside, here)
    env_file = (file.parent if file else here) / ".env"
    inside = {k: v for k, v in dotenv_values(env_file).items() if v is not None} if env_file.is_file() else {}
    merged = {**inside, **outside}
    values = _read(file) if file else {}
    origin = dict.fromkeys(_leaves(values), file.name) if file else {}
    _predecessor(values, merged, origin)
    strangers = _override(values, merged, origin)
    settings = _checked(values, file)
    return Loaded(settings, _home(merged, file, here), file, origin, merged, strangers)


def made(model: type[_Any], values: Mapping[str, Any]) -> _Any:
    """One section out of values that a person gave; SettingsError in one sentence."""
    try:
        return model.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"{key}: {message[:1].lower()}{message[1:]}.") from error


def _find(config: Path | None, environ: Mapping[str, str], here: Path) -> Path | None:
    named = config or (Path(environ["MATOKIT_CONFIG"]) if environ.get("MATOKIT_CONFIG") else None)
    if named:
        path = named if named.is_absolute() else here / named
        if not path.is_file():
            raise SettingsError(f"There is no settings file {named}; `matokit init` writes one.")
        return path
    candidates = [here / FILE_NAME]
    if environ.get("MATOKIT_HOME"):
        candidates.append(here / environ["MATOKIT_HOME"] / FILE_NAME)
    return next((path for path in candidates if path.is_file()), None)


def _home(environ: Mapping[str, str], file: Path | None, here: Path) -> Path:
    """`MATOKIT_HOME`; else the folder of the settings when that is a home itself; else `.matokit` beside them."""
    if environ.get("MATOKIT_HOME"):
        return (here / environ["MATOKIT_HOME"]).resolve()
    folder = file.parent if file else here
    return folder if (folder / "warehouse.duckdb").exists() else folder / HOME_NAME


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file.name} is not valid TOML: {error}.") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read; give this user the right to.") from error


def _leaves(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            keys += _leaves(value, f"{prefix}{key}.")
        elif key == "sources" and isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict):
                    keys += [f"{entry.get('name', '?')}.{inner}" for inner in entry]
        else:
            keys.append(f"{prefix}{key}")
    return keys


def _predecessor(values: dict[str, Any], environ: Mapping[str, str], origin: dict[str, str]) -> None:
    """The variables of the tool server that came before this one work without any file."""
    section = values.setdefault("toolserver", {})
    # shells and platforms set HOST and PORT for other ends too: only what can be meant is taken
    for variable, key, is_meant in (("PORT", "port", str.isdecimal), ("HOST", "host", _is_address)):
        value = environ.get(variable, "").strip()
        if value and is_meant(value) and isinstance(section, dict) and key not in section:
            section[key] = value
            origin[f"toolserver.{key}"] = variable
    url = environ.get("MATOMO_BASE_URL")
    if values.get("sources") or not url:
        return
    site = environ.get("MATOMO_DEFAULT_SITE_ID", "1")
    both = ["installer_events", "web_reports"]
    values["sources"] = [{"name": PREDECESSOR_NAME, "kind": "matomo", "url": url, "site_id": site, "provides": both}]
    origin[f"{PREDECESSOR_NAME}.url"] = "MATOMO_BASE_URL"
    origin[f"{PREDECESSOR_NAME}.site_id"] = "MATOMO_DEFAULT_SITE_ID"


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _override(values: dict[str, Any], environ: Mapping[str, str], origin: dict[str, str]) -> tuple[str, ...]:
    """Lay `MATOKIT_<SECTION>_<KEY>` over the file; gives the variables that fit nothing."""
    places: dict[str, tuple[dict[str, Any], type[Section], str]] = {}
    for entry in values.get("sources", []) if isinstance(values.get("sources"), list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            places[entry["name"]] = (entry, SourceSettings, "sources")
    for name, model in SECTIONS.items():
        section = values.setdefault(name, {})
        if isinstance(section, dict):
            places[name] = (section, model, name)
    strangers = []
    for variable in sorted(v for v in environ if v.startswith(PREFIX)):
        if variable in ("MATOKIT_HOME", "MATOKIT_CONFIG") or variable.startswith(SITES):
            continue
        if _is_secret(variable.removesuffix("_FILE")):
            continue
        rest = variable.removeprefix(PREFIX).lower()
        name = max((n for n in places if rest.startswith(n + "_")), key=len, default="")
        if not name:
            strangers.append(variable)
            continue
        section, model, _ = places[name]
        key = rest.removeprefix(name + "_")
        if model is SourceSettings and key.removesuffix("_file") in ("token", "client_id", "client_secret"):
            continue
        if key not in model.model_fields:
            raise SettingsError(f"{variable} sets {name}.{key}, which is not a setting{_hint(key, model)}.")
        section[key] = _value(environ[variable])
        origin[f"{name}.{key}"] = variable
    return tuple(strangers)


def _is_secret(variable: str) -> bool:
    return variable in SECRETS_OF_SECTIONS or variable.startswith((WEBHOOK, CALLER))


def _value(text: str) -> Any:
    """Tables and lists as in the file; anything else as text, which the checks turn into numbers and dates."""
    if text[:1] in ("{", "["):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _checked(values: dict[str, Any], file: Path | None) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        # A misspelt key is told before the one that is missing because of it.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise SettingsError(_sentence(first, values, file.name if file else "The environment")) from error


def _sentence(error: Mapping[str, Any], values: Mapping[str, Any], where: str) -> str:
    place = list(error["loc"])
    model: type[BaseModel] = Settings
    if place and place[0] == "sources" and len(place) > 1:
        entries = values.get("sources")
        entry = entries[place[1]] if isinstance(entries, list) and isinstance(place[1], int) else {}
        place[:2] = [f"sources[{entry.get('name', place[1]) if isinstance(entry, dict) else place[1]}]"]
        model = SourceSettings
    elif place and place[0] in SECTIONS and len(place) > 1:
        model = SECTIONS[str(place[0])]
    key = ".".join(str(part) for part in place)
    if error["type"] == "extra_forbidden":
        return f"{where}: {key} is not a setting{_hint(str(place[-1]), model)}."
    if error["type"] == "missing":
        return f"{where}: {key} is missing; add it."
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {key}: {message[:1].lower()}{message[1:]}." if key else f"{where}: {message}."


def _hint(key: str, model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(key, list(model.model_fields), n=1)
    return f' (did you mean "{near[0]}"?)' if near else f" (known: {', '.join(sorted(model.model_fields))})"
