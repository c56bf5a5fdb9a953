"""What the vendors say when asked how they are: Matomo and Piwik PRO, with short time-outs, each kept some seconds.

However often monitors ask, a server is asked four times a minute at most; credentials that it refused are not sent
again before they were changed or half an hour is over. Not here: what a finding means (checks.py, diagnosis.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from matokit_pipelines.errors import AccessRefused, CredentialsRefused, MatokitError, NothingAllowed
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.sources import piwik_pro
from matokit_pipelines.sources.http import HttpLimits, HttpSession
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.sources.piwik_pro import PiwikProClient
from matokit_pipelines.sources.piwik_pro_token import Credentials
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.live import REFUSED_SECONDS
from matokit_pipelines.toolserver.sites import Site

KEPT_SECONDS = 15.0
PROBE_SECONDS = 5.0
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What one call found: its version or name, or its error. `ms`: how long the answer took."""

    found: str = ""
    ms: float = 0.0
    error: MatokitError | None = None


@dataclass(frozen=True)
class Steps:
    """The three steps of a connection in their order; the first error ends them.

    version: of the server, "" where it cannot be told. reached: whether it said anything in its own form. sites: how
    many the credentials may view. name: of the site.
    """

    version: str = ""
    reached: bool = False
    sites: int | None = None
    name: str | None = None
    error: MatokitError | None = None


def matomo_version(kit: Kit, site: Site) -> Asked:
    """Matomo's version, by the token of that site's connection."""
    key = ("version", *account(site))
    return kit.live.remembered.found(
        key, lambda: _timed(kit, lambda: _asked(kit, site, "API.getMatomoVersion", _version_of)), _kept
    )


def matomo_site(kit: Kit, site: Site) -> Asked:
    """The site's name."""
    key = ("site", *account(site), site.id)
    return kit.live.remembered.found(
        key,
        lambda: _timed(kit, lambda: _asked(kit, site, "SitesManager.getSiteFromId", lambda client: client.site().name)),
        _kept,
    )


def matomo_steps(kit: Kit, site: Site) -> Steps:
    """Reached, token, site. One call tells most: which sites the token may view."""
    key = ("steps", *account(site), site.id)
    return kit.live.remembered.found(key, lambda: _matomo_steps(kit, site), _kept)


def piwik_pro_steps(kit: Kit, source: SourceSettings) -> tuple[Steps, float]:
    """Reached, credentials, app; and how many milliseconds that took."""
    try:
        credentials = Credentials(*kit.loaded.credentials(source))
    except MatokitError as error:
        return Steps(error=error), 0.0
    mark = hashlib.sha256(f"{credentials.client_id}\n{credentials.client_secret}".encode()).hexdigest()

    def find() -> tuple[Steps, float]:
        began = kit.clock.now()
        steps = _piwik_pro_steps(kit, source, credentials)
        return steps, (kit.clock.now() - began).total_seconds() * 1000

    return kit.live.remembered.found(
        ("piwik-pro", source.name, source.url, source.site_id, mark), find, _kept_of_piwik_pro
    )


def account(site: Site) -> tuple[str, str]:
    """Which Matomo a site is at, and a fingerprint of the token: sites that share both are asked as one.

    It differs when the token was changed, so that a good one is tried at once.
    """
    try:
        mark = hashlib.sha256(site.connection.token().encode()).hexdigest()
    except MatokitError:
        mark = ""
    return site.connection.url.lower(), mark


# -- Matomo -----------------------------------------------------------------------------------------------------------


def _seconds(kit: Kit) -> float:
    return min(PROBE_SECONDS, kit.loaded.settings.toolserver.call_seconds / 2)


def _asked(kit: Kit, site: Site, method: str, ask: Callable[[MatomoClient], T]) -> T:
    return kit.live.probe(site, method, ask, _seconds(kit))


def _version_of(client: MatomoClient) -> str:
    try:
        return client.version()
    except CredentialsRefused:
        # this method refuses a good token that may view no site as it refuses a bad one
        if not client.sites():
            raise NothingAllowed("The token is good, but may view no site at all; give its user view access.") from None
        raise


def _timed(kit: Kit, ask: Callable[[], str]) -> Asked:
    began = kit.clock.now()
    try:
        found = ask()
    except MatokitError as error:
        return Asked(error=error)
    return Asked(found, (kit.clock.now() - began).total_seconds() * 1000)


def _matomo_steps(kit: Kit, site: Site) -> Steps:
    heard: list[bool] = []

    def ask(client: MatomoClient) -> list[int]:
        try:
            return client.sites()
        finally:
            heard.append(client.is_heard)

    try:
        allowed = _asked(kit, site, "SitesManager.getSitesIdWithAtLeastViewAccess", ask)
    except MatokitError as error:
        return Steps(reached=any(heard), error=error)
    reached = Steps(reached=True, sites=len(allowed))
    if not allowed:
        return Steps(reached=True, sites=0, error=NothingAllowed("The token may view no site at all; give it one."))
    try:
        version = _asked(kit, site, "API.getMatomoVersion", MatomoClient.version)
        if site.id not in {str(one) for one in allowed}:
            few = ", ".join(map(str, sorted(allowed)[:10])) + (" and more" if len(allowed) > 10 else "")
            return Steps(version, True, len(allowed), None, AccessRefused(f"The token may view {few}; add the site."))
        return Steps(version, True, len(allowed), _asked(kit, site, "SitesManager.getSiteFromId", _name_of))
    except MatokitError as error:
        return Steps(reached.version, True, len(allowed), None, error)


def _name_of(client: MatomoClient) -> str:
    return client.site().name


# -- Piwik PRO --------------------------------------------------------------------------------------------------------


def _piwik_pro_steps(kit: Kit, source: SourceSettings, credentials: Credentials) -> Steps:
    seconds = _seconds(kit)
    limits = HttpLimits(connect_timeout=seconds, read_timeout=seconds, attempts=2, budget=seconds)
    session = HttpSession(source.name, source.url, kit.clock, limits, transient=piwik_pro.TRANSIENT_STATUS)
    client = PiwikProClient(session, source.site_id, lambda: credentials, kit.clock)
    try:
        apps = client.apps()
    except MatokitError as error:
        return Steps(error=error)
    else:
        try:
            return Steps("", True, len(apps), client.site().name)
        except MatokitError as error:
            return Steps("", True, len(apps), None, error)
    finally:
        client.close()


# -- how long a finding holds -----------------------------------------------------------------------------------------


def _kept(found: object) -> float:
    """Of Matomo: what it refused is not asked again by live.py, which forgets in time."""
    return KEPT_SECONDS


def _kept_of_piwik_pro(found: tuple[Steps, float]) -> float:
    return REFUSED_SECONDS if isinstance(found[0].error, CredentialsRefused) else KEPT_SECONDS
