"""Where a message leads to, and the other settings that its words need: addresses, zone, thresholds.

Links come from the settings alone; what an event says never becomes an address. Not here: words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.settings import Loaded

RUNBOOK = "docs/runbook.md"  # where the delivered runbook lies
_SHA = re.compile(r"^[0-9a-f]{7,40}$")
# the widget that shows more of a rule: folders and files of sql/dashboards
WIDGETS = {
    "overall_success_rate": ("installation_health", "success_rate"),
    "new_failure_pattern": ("component_analysis", "component_trends"),
    "high_volume_failures": ("component_analysis", "problematic_components"),
    "arch_gap": ("system_compatibility", "architecture_success"),
    "commit_regression": ("deployment_tracking", "commit_table"),
    "component_failure_rate": ("component_analysis", "component_success"),
    "new_component_failure": ("component_analysis", "component_success"),
    "success_drop_7d": ("component_analysis", "component_trends"),
    "slow_regression": ("component_analysis", "component_trends"),
    "no_events": ("installation_health", "daily_volume"),
    "data_stale": ("installation_health", "daily_volume"),
}
ALERT_DAYS = 7  # of the period chosen on the dashboard that an alert leads to


@dataclass(frozen=True)
class Links:
    """Addresses without a trailing slash, "" where none is configured. is_toolserver: the tool server answers at
    `public_url`; pages: dashboards that have been made."""

    zone: ZoneInfo
    alerts: AlertSettings
    public_url: str = ""
    is_toolserver: bool = True
    runbook_url: str = ""
    repository_url: str = ""
    pages: frozenset[str] = frozenset()

    @classmethod
    def of(cls, loaded: Loaded) -> Links:
        """What the settings of a home say."""
        settings = loaded.settings
        return cls(
            zone=settings.project.zone,
            alerts=settings.alerts,
            public_url=settings.links.public_url,
            is_toolserver=settings.links.toolserver,
            runbook_url=settings.links.runbook_url,
            repository_url=settings.project.repository_url.rstrip("/"),
            pages=_made(loaded.home),
        )

    @classmethod
    def without_settings(cls) -> Links:
        """No addresses, UTC and the default thresholds."""
        return cls(ZoneInfo("UTC"), AlertSettings())

    def dashboard(self, rule: str) -> str:
        """The widget about a rule, the start of all pages while its page has not been made; "" without an address."""
        page, widget = WIDGETS.get(rule, ("", ""))
        if not self.public_url or page not in self.pages:
            return self.public_url
        return self.widget(page, widget, environment="production", days=ALERT_DAYS)

    def alert(self, episode: Episode) -> str:
        """The page of an alert; "" where no tool server is known to answer."""
        return f"{self.public_url}/alerts/{episode.id}" if self.public_url and self.is_toolserver else ""

    def alerts_list(self) -> str:
        """The page of all alerts; "" where no tool server is known to answer."""
        return f"{self.public_url}/alerts/" if self.public_url and self.is_toolserver else ""

    def report(self, report: str, period: str) -> str:
        """The page of a report (`weekly`, `2026-W46`); "" without an address."""
        return f"{self.public_url}/reports/{report}/{period}.html" if self.public_url else ""

    def widget(self, page: str, widget: str, **filters: str | int) -> str:
        """A widget on its dashboard, with the filters of the controls (`environment`, `days`, `architecture`, `os`)
        chosen; "" without an address."""
        if not self.public_url:
            return ""
        chosen = f"?{urlencode(filters, quote_via=quote)}" if filters else ""
        return f"{self.public_url}/dashboards/{page}.html{chosen}#{widget}"

    def runbook(self, rule: str) -> str:
        """The rule's heading in the runbook: as set, else where the tool server shows what is delivered, else its
        file."""
        own = getattr(getattr(self.alerts.rules, rule, None), "runbook_url", "")
        served = f"{self.public_url}/runbook" if self.public_url and self.is_toolserver else RUNBOOK
        return own or f"{self.runbook_url or served}#{rule}"

    def compare(self, old: str | None, new: str) -> str:
        """Where the repository shows what came with a commit (GitHub, GitLab and Gitea share the form), or ""."""
        if not self.repository_url or not _SHA.match(new):
            return ""
        if old and _SHA.match(old):
            return f"{self.repository_url}/compare/{old}...{new}"
        return f"{self.repository_url}/commit/{new}"


def is_web(address: str) -> bool:
    """Whether a browser can open it."""
    return address.startswith(("https://", "http://"))


def _made(home: Path) -> frozenset[str]:
    return frozenset(file.stem for file in (home / "dashboards").glob("*.html"))
