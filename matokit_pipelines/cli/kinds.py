"""Which kind of server a person means who names an address and a site. Not here: the settings of a source."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from matokit_pipelines.cli.frame import shortened

EXAMPLES = {
    "matomo": ("https://matomo.example.org", "1"),
    "piwik_pro": ("https://example.piwik.pro", "00000000-0000-4000-8000-000000000000"),
}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def kind_of(kind: str | None, url: str | None, site: str | None) -> tuple[str, str | None]:
    """The kind that is meant, and a sentence when it was told by the site or the address.

    SettingsError when `kind` says Matomo and the others Piwik PRO, or when no such site can be there.
    """
    from matokit_pipelines.errors import SettingsError

    sign = _sign_of_piwik_pro(url, site)
    if site is not None and not _UUID.fullmatch(site) and (kind == "piwik_pro" or (kind is None and sign)):
        raise SettingsError(
            f'"{shortened(site)}" is no site of Piwik PRO, whose ids look like {EXAMPLES["piwik_pro"][1]}; copy it '
            "from Administration, Sites & apps, below the site's name."
        )
    if kind is None and sign:
        return "piwik_pro", f"{sign}, so this is read as a Piwik PRO (--kind piwik_pro)."
    if kind in (None, "matomo"):
        if sign:
            raise SettingsError(f"{sign}, but --kind says matomo; leave --kind out, or correct the other.")
        if site is not None and not re.fullmatch(r"[1-9][0-9]{0,9}", site):
            raise SettingsError(
                f'"{shortened(site)}" is no site: Matomo numbers its sites from 1 on, and Piwik PRO\'s ids look like '
                f"{EXAMPLES['piwik_pro'][1]}; correct --site."
            )
        return "matomo", None
    return str(kind), None


def _sign_of_piwik_pro(url: str | None, site: str | None) -> str | None:
    if site is not None and _UUID.fullmatch(site):
        return "The site's id is one of Piwik PRO"
    try:
        host = (urlsplit(url or "").hostname or "").rstrip(".")
    except ValueError:  # told later, as no address at all
        return None
    return "The address is one of piwik.pro" if host == "piwik.pro" or host.endswith(".piwik.pro") else None
