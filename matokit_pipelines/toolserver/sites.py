"""The Matomo sites that tools are asked about: which there are, the one meant by default, where each is asked.

A registry lists them (site_registry.py reads it); the configured Matomo sources are sites too. With a registry an
unlisted number is refused; without one any number on the default connection may be asked. Not here: asking (live.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.settings import PREDECESSOR_NAME, Loaded, SourceSettings
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.toolserver.site_registry import Listed, read_registry

MOST_NAMED = 20
_SCAFFOLD = re.compile(r"<.*>|(token_auth_here|set-?me|change-?me|changeme|todo|xxx+|your[-_ ].*)", re.IGNORECASE)


@dataclass(frozen=True)
class Connection:
    """One Matomo and the token it is asked with. `token` reads the secret anew; SettingsError when it lacks.

    `where`: what holds the token, for the sentence that says it is refused.
    """

    name: str
    url: str
    where: str
    token: Callable[[], str] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Site:
    """A site of a Matomo. `id`: its number as text. `source`: the configured source with web reports whose tables
    hold it, None when it can only be asked live. `tracking_url`: the address that takes hits."""

    id: str
    name: str
    source: str | None
    connection: Connection
    tracking_url: str = ""
    tracking_token: Callable[[], str] = field(default=str, repr=False, compare=False)
    url: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def title(self) -> str:
        """`site 2 (shop)`; `site 99` of one that has no name here."""
        plain = f"site {self.id}"
        return plain if self.name == plain else f"{plain} ({self.name})"


class Sites:
    """The sites of one server; made by `Sites.of`."""

    def __init__(
        self, sites: Sequence[Site], default: Site | None, *, is_closed: bool, connection: Connection | None,
        aliases: Mapping[str, Site],
    ) -> None:  # fmt: skip
        self.all = tuple(sites)
        self.default = default
        self._is_closed = is_closed
        self._connection = connection
        self._aliases = dict(aliases)

    @classmethod
    def of(cls, loaded: Loaded) -> Sites:
        """The sites of the settings and the environment; SettingsError names the variable that is wrong."""
        return _Gathering(loaded).sites()

    def find(self, wanted: int | str | None) -> Site:
        """The site of that number or name, the default one for None. Problem 400 that names the sites there are."""
        said = str(wanted if wanted is not None else "").strip()
        if not said:
            if self.default:
                return self.default
            raise refused("No site was named, and there is no default site.", self._guidance())
        if found := self._listed(said):
            return found
        if said.isascii() and said.isdigit() and int(said) > 0 and self._connection and not self._is_closed:
            return _plain_site(str(int(said)), f"site {int(said)}", self._connection)
        if not (said.isascii() and said.isdigit()) or int(said) == 0:
            raise refused(f'There is no site "{said[:60]}".', self._guidance())
        raise refused(f"Site {said[:20]} is not one of the configured sites.", self._guidance())

    def check_tokens(self) -> None:
        """SettingsError when a connection has no token, or one that somebody forgot to replace."""
        for connection in {site.connection.name: site.connection for site in self.all}.values():
            if _SCAFFOLD.fullmatch(connection.token()):
                raise SettingsError(f"The token in {connection.where} is only a placeholder; put the real one there.")

    def _listed(self, said: str) -> Site | None:
        if said.isascii() and said.isdigit():
            same = [site for site in self.all if site.id == str(int(said))]
            usual = [site for site in same if site.connection == self._connection]
            if same:
                return (usual or same)[0]
        return self._aliases.get(said.casefold())

    def _guidance(self) -> str:
        if not self.all:
            return "The operator has to configure a Matomo source, or MATOMO_BASE_URL and MATOMO_TOKEN."
        named = ", ".join(f"{site.id} ({site.name})" for site in self.all[:MOST_NAMED])
        more = f" and {len(self.all) - MOST_NAMED} more" if len(self.all) > MOST_NAMED else ""
        other = "" if self._is_closed or not self._connection else " Any other number of the default Matomo works too."
        return f"Give siteId as one of: {named}{more}.{other}"


def _plain_site(identity: str, name: str, connection: Connection, source: str | None = None) -> Site:
    return Site(
        identity, name, source, connection, tracking_url=_tracker(connection.url), tracking_token=connection.token
    )


def _tracker(base: str) -> str:
    return base if base.endswith(("/matomo.php", "/piwik.php")) else f"{base.rstrip('/')}/matomo.php"


class _Gathering:
    """Puts the registry and the configured sources together."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._sources = [source for source in loaded.settings.sources if source.kind == "matomo"]
        self._registry = read_registry(loaded.environ)
        self._of_sources = {source.name: self._connection(source) for source in self._sources}

    def sites(self) -> Sites:
        listed = [self._from_registry(entry) for entry in self._registry.listed]
        told = {(site.connection.url.lower(), site.id) for site in listed}
        aliases: dict[str, Site] = {}
        own: list[Site] = []
        for source in self._own_sources():
            place = (source.url.lower(), source.site_id)
            if place in told:
                same = next(site for site in listed if (site.connection.url.lower(), site.id) == place)
            else:
                same = self._from_source(source)
                own.append(same)
            aliases.setdefault(source.name.casefold(), same)
        every = listed + own
        aliases.update({site.name.casefold(): site for site in reversed(every)})
        sites = Sites(
            every, None, is_closed=bool(listed), connection=self._usual_connection(), aliases=aliases
        )  # fmt: skip
        sites.default = self._default(sites, listed)
        return sites

    def _own_sources(self) -> list[SourceSettings]:
        """The sources that are sites: the one that MATOMO_BASE_URL implies is none beside a list of sites."""
        implied = self._loaded.origin.get(f"{PREDECESSOR_NAME}.url") == "MATOMO_BASE_URL" and self._registry.listed
        return [source for source in self._sources if not (implied and source.name == PREDECESSOR_NAME)]

    def _usual_connection(self) -> Connection | None:
        usual = next((source for source in self._sources if source.has_web_reports), None) or next(
            iter(self._sources), None
        )
        return self._of_sources[usual.name] if usual else None

    def _connection(self, source: SourceSettings) -> Connection:
        loaded = self._loaded
        variable = source.secret_variables[0]
        if source.name == PREDECESSOR_NAME and not loaded.secret(variable):
            variable = "MATOMO_TOKEN"
        return Connection(source.name, source.url, variable, lambda: loaded.credentials(source)[0])

    def _from_source(self, source: SourceSettings) -> Site:
        known = source.name if source.has_web_reports else None
        return _plain_site(source.site_id, source.name, self._of_sources[source.name], known)

    def _from_registry(self, entry: Listed) -> Site:
        connection = self._connection_of(entry)
        place = (connection.url.lower(), entry.id)
        known = [s for s in self._sources if (s.url.lower(), s.site_id) == place and s.has_web_reports]
        site = _plain_site(entry.id, entry.name, connection, known[0].name if known else None)
        tracking_token = self._own_token(entry.tracking_token, entry.tracking_variable)
        return replace(
            site,
            url=entry.url,
            description=entry.description,
            metadata=entry.metadata,
            tracking_url=_tracker(entry.tracking_url or connection.url),
            tracking_token=tracking_token or connection.token,
        )

    def _connection_of(self, entry: Listed) -> Connection:
        usual = self._usual_connection()
        token = self._own_token(entry.token, entry.token_variable)
        if not entry.base_url and token is None:
            if usual is None:
                raise SettingsError(
                    f"{entry.where} lists site {entry.id}, but no Matomo is configured; set MATOMO_BASE_URL and "
                    "MATOMO_TOKEN, or a Matomo source."
                )
            return usual
        url = entry.base_url or (usual.url if usual else "")
        if not url:
            raise SettingsError(f"{entry.where} gives site {entry.id} a token and no baseUrl; add it.")
        if token is None:
            same = [connection for connection in self._of_sources.values() if connection.url.lower() == url.lower()]
            if not same:  # never send one server's token to another
                raise SettingsError(f"{entry.where} gives site {entry.id} a baseUrl and no tokenAuth; add it.")
            return same[0]
        return Connection(f"site {entry.id}", url, entry.token_variable or entry.where, token)

    def _own_token(self, text: str, variable: str) -> Callable[[], str] | None:
        if variable:
            return lambda: self._from_variable(variable)
        return (lambda: text) if text else None

    def _from_variable(self, variable: str) -> str:
        if value := (self._loaded.secret(variable) or "").strip():
            return value
        raise SettingsError(f"The variable {variable}, which holds the token of a site, is empty; set it.")

    def _default(self, sites: Sites, listed: list[Site]) -> Site | None:
        wishes = [
            ("toolserver.default_site", self._loaded.settings.toolserver.default_site),
            ("MATOMO_DEFAULT_SITE_ID", self._loaded.environ.get("MATOMO_DEFAULT_SITE_ID", "")),
            (f"defaultSiteId in {self._registry.where}", self._registry.default),
        ]  # fmt: skip
        for where, wish in wishes:
            if wish.strip():
                try:
                    return sites.find(wish)
                except Problem as problem:
                    raise SettingsError(
                        f'{where} is "{wish.strip()[:60]}", which is no listed site; {problem.guidance}'
                    ) from None
        chosen = next((site for site in sites.all if site.source), None)
        from_sources = [site for site in sites.all if site not in listed]
        return chosen or next(iter(from_sources), None) or next(iter(listed), None)
