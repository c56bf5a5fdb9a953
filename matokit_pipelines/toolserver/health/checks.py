"""The checks of GetHealthStatus: what was observed, and whether it passes.

Thresholds stand here and in docs/health-monitoring.md. Not here: asking the vendors (asking.py), the age of the tables
(freshness.py).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal

from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.toolserver.health import asking
from matokit_pipelines.toolserver.health.freshness import warehouse
from matokit_pipelines.toolserver.health.shapes import Component, HealthCheck, Verdict, stamp
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.sites import Site
from matokit_pipelines.toolserver.upstream import problem_of

Unit = Literal["ms", "%", "pending", "requests", "seconds"]
LOW_HITS, LOW_AFTER = 20.0, 10  # per cent, lookups
NO_HITS, NO_AFTER = 5.0, 20
LOW_LIMIT = 0.1
OLD_HIT, TOO_OLD_HIT = timedelta(minutes=5), timedelta(hours=1)
UNKEPT_FAILS = timedelta(minutes=10)
AT_ONCE = 6
MOST_CONNECTIONS = 10


def all_checks(kit: Kit, site: Site | None, *, details: bool) -> list[HealthCheck]:
    """Every check; the vendors are asked side by side. `site`: the one meant, None where no Matomo is configured."""
    sites = _one_a_connection(kit, site)
    sources = [source for source in kit.loaded.settings.sources if source.kind == "piwik_pro"][:MOST_CONNECTIONS]
    asked: list[Callable[[], HealthCheck]] = [
        *(_later(matomo_api, kit, one, number) for number, one in enumerate(sites)),
        *([_later(site_access, kit, site)] if details and site else []),
        *(_later(piwik_pro_api, kit, source, number) for number, source in enumerate(sources)),
    ]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
        answers = [future.result() for future in [pool.submit(one) for one in asked]]
    matomo, others = answers[: len(sites)], answers[len(sites) :]
    return [
        *(matomo or [_no_matomo(kit)]),
        reports_cache(kit),
        tracking_queue(kit),
        *(rate_limit(kit, one, number) for number, one in enumerate(sites)),
        *others,
        warehouse(kit, kit.clock.now(), with_tables=details),
    ]


def overall(checks: list[HealthCheck]) -> Literal["healthy", "degraded", "unhealthy"]:
    """unhealthy when one fails, degraded when one warns."""
    found = {check.status for check in checks}
    return "unhealthy" if "fail" in found else "degraded" if "warn" in found else "healthy"


# -- Matomo -----------------------------------------------------------------------------------------------------------


def matomo_api(kit: Kit, site: Site, number: int) -> HealthCheck:
    """Whether Matomo answers to the token."""
    asked = asking.matomo_version(kit, site)
    name = _named("matomo-api", site.connection.name, number)
    if asked.error:
        return _check(kit, name, "fail", problem_of(asked.error).message)
    said = f"API responded in {asked.ms:.0f}ms"
    if alone := kit.live.left_alone(site.connection):
        said += f", but questions got no answer: tools answer without it for {alone:.0f} s."
    return _check(kit, name, "warn" if alone else "pass", said, round(asked.ms), "ms")


def site_access(kit: Kit, site: Site) -> HealthCheck:
    """Whether the token may view the site."""
    asked = asking.matomo_site(kit, site)
    if asked.error:
        return _check(kit, "site-access", "fail", problem_of(asked.error, site=site).message)
    return _check(kit, "site-access", "pass", f"Site ID {site.id} accessible")


def rate_limit(kit: Kit, site: Site, number: int = 0) -> HealthCheck:
    """What Matomo, or a proxy before it, says of its limit. Most say nothing, which is no fault."""
    name = _named("rate-limit", site.connection.name, number)
    state, paused = kit.live.rate(site.connection)
    if paused > 0 or state.remaining == 0:
        wait = f" for {paused:.0f} s" if paused else ""
        return _check(kit, name, "fail", f"Matomo takes no request{wait}.", state.remaining, _unit(state.remaining))
    if state.remaining is None:
        return _check(kit, name, "pass", "Matomo tells of no limit of requests.")
    of = f" of {state.limit}" if state.limit else ""
    is_low = state.limit is not None and state.remaining <= LOW_LIMIT * state.limit
    output = f"{state.remaining}{of} requests are left."
    return _check(kit, name, "warn" if is_low else "pass", output, state.remaining, "requests")


def _no_matomo(kit: Kit) -> HealthCheck:
    return _check(kit, "matomo-api", "pass", "No Matomo is configured.")


def _one_a_connection(kit: Kit, site: Site | None) -> list[Site]:
    """One site for each Matomo and token, that of `site` first."""
    found: dict[tuple[str, str], Site] = {}
    for one in ([site] if site else []) + list(kit.sites.all):
        found.setdefault(asking.account(one), one)
    return list(found.values())[:MOST_CONNECTIONS]


# -- Piwik PRO --------------------------------------------------------------------------------------------------------


def piwik_pro_api(kit: Kit, source: SourceSettings, number: int) -> HealthCheck:
    """Whether Piwik PRO takes the credentials and shows the site."""
    steps, ms = asking.piwik_pro_steps(kit, source)
    name = _named("piwik-pro-api", source.name, number)
    if steps.error:
        return _check(kit, name, "fail", piwik_pro_said(steps.error, source))
    return _check(kit, name, "pass", f"API responded in {ms:.0f}ms", round(ms), "ms")


def piwik_pro_said(error: MatokitError, source: SourceSettings) -> str:
    """What failed, in a sentence. Our own words of it are about Piwik PRO already, those of problems are not."""
    said = str(error).split("; ")[0].rstrip(".")
    return f"{said}." if source.name in said else f"Source {source.name}: {said}."


# -- our own ----------------------------------------------------------------------------------------------------------


def reports_cache(kit: Kit) -> HealthCheck:
    """How often an answer lay ready. Few lookups tell nothing, and what failed could not have lain ready."""
    if not kit.loaded.settings.toolserver.cache_seconds:
        return _check(kit, "reports-cache", "pass", "The cache is off (toolserver.cache_seconds).", component="cache")
    counts = list(kit.cache.counts.values())
    hits = sum(one.hits for one in counts)
    lookups = hits + sum(one.misses - one.failed for one in counts)
    rate = 100 * hits / lookups if lookups else 0.0
    verdict: Verdict = "pass"
    if lookups > NO_AFTER and rate < NO_HITS:
        verdict = "fail"
    elif lookups > LOW_AFTER and rate < LOW_HITS:
        verdict = "warn"
    output = f"Hit rate: {rate:.1f}% ({hits}/{lookups} requests)"
    return _check(kit, "reports-cache", verdict, output, round(rate, 2), "%", "cache")


def tracking_queue(kit: Kit) -> HealthCheck:
    """How many hits wait, since when, and how many were given up."""
    if kit.tracking is None:
        return _check(kit, "tracking-queue", "pass", "Tracking is off.", component="queue")
    try:
        depth, oldest, dead = kit.tracking.depth, kit.tracking.oldest_age, kit.tracking.dead
    except MatokitError as error:
        return _check(kit, "tracking-queue", "fail", problem_of(error).message, component="queue")
    unkept = kit.tracking.unkept
    if unkept and kit.clock.now() - unkept[1] <= UNKEPT_FAILS:
        said = f"Hits cannot be kept since {stamp(unkept[0])[:16]}Z (the disk may be full); the server's log says why."
        return _check(kit, "tracking-queue", "fail", said, depth, "pending", "queue")
    age = timedelta(seconds=oldest or 0.0)
    verdict: Verdict = "fail" if age > TOO_OLD_HIT else "warn" if age > OLD_HIT or dead or unkept else "pass"
    waiting = "Queue processing normally"
    if depth:
        hits = "1 hit waits" if depth == 1 else f"{depth} hits wait"
        waiting = f"{hits}, the oldest for {f'{age.seconds} s' if age < timedelta(minutes=2) else lasting(age)}"
    if dead:
        waiting += f"; {dead} given up, see `matokit tracking list`"
    if unkept:
        waiting += f"; the last hit could not be kept, {lasting(kit.clock.now() - unkept[1])} ago"
    return _check(kit, "tracking-queue", verdict, waiting, depth, "pending", "queue")


def _named(what: str, connection: str, number: int) -> str:
    return what if number == 0 else f"{what} ({connection})"


def _unit(value: float | None) -> Unit | None:
    return None if value is None else "requests"


def _later(check: Callable[..., HealthCheck], *arguments: object) -> Callable[[], HealthCheck]:
    return lambda: check(*arguments)


def _check(
    kit: Kit,
    name: str,
    verdict: Verdict,
    output: str,
    observed: float | None = None,
    unit: Unit | None = None,
    component: Component = "service",
) -> HealthCheck:
    return HealthCheck(
        name=name,
        status=verdict,
        componentType=component,
        observedValue=observed,
        observedUnit=unit,
        time=stamp(kit.clock.now()),
        output=output,
    )
