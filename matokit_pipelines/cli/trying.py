"""`try`: one's own account, read-only, nothing kept: the last days into a warehouse in memory, and a report on it.

Not here: the report (first_report.py), how a source is read (warehouse/).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of
from matokit_pipelines.cli.trial import Account, Trial

if TYPE_CHECKING:
    from matokit_pipelines.clock import Clock
    from matokit_pipelines.settings import Loaded, SourceSettings
    from matokit_pipelines.sources.sites import Dimension

DAYS = 7


def try_source(
    context: typer.Context,
    kind: str | None = typer.Option(None, help="matomo or piwik_pro; default: as site and address look."),
    url: str = typer.Option(..., help="Address of your Matomo, or of your Piwik PRO account."),
    site: str = typer.Option(..., help="Number of the site (Matomo), or its id (Piwik PRO)."),
    name: str = typer.Option("installers", help="Decides the names of the variables with the credentials."),
    dimensions: str | None = typer.Option(None, help="Such as os=1,architecture=2,commit=3; default: by their names."),
    as_json: bool = AsJson,
) -> None:
    """Read the last 7 days of an account, keep nothing, and say how each event name was read."""
    from matokit_pipelines.cli import first_report
    from matokit_pipelines.cli.kinds import kind_of
    from matokit_pipelines.cli.setting_up import parse_dimensions
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.errors import DataIncomplete

    frame = frame_of(context)
    loaded = frame.loaded()
    meant, remark = kind_of(kind, url, site)
    given = parse_dimensions(dimensions) if dimensions else None
    clock = SystemClock()
    with frame.progress("Reading") as step:
        trial = _tried(
            loaded, {"name": name, "kind": meant, "url": url, "site_id": site}, given, clock, progress=step
        )  # fmt: skip
    if as_json:
        frame.rows(first_report.names(trial.connection), as_json=True)
    else:
        if remark:
            frame.say(remark)
        first_report.show(frame, trial, clock.now())
    if trial.result.unproven:
        raise DataIncomplete(
            f"Some of what {url} announces of these days did not arrive; the figures are short by that."
        )


def _tried(
    loaded: Loaded, values: dict[str, Any], given: dict[str, int] | None, clock: Clock, *, progress: Any
) -> Trial:
    """Meet the site, read its last days as a pass would, derive. Raises what the source refuses with."""
    from matokit_pipelines.cli.guessing import guess_dimensions
    from matokit_pipelines.settings import SourceSettings, made
    from matokit_pipelines.warehouse import refresh
    from matokit_pipelines.warehouse.build import build
    from matokit_pipelines.warehouse.connection import in_memory
    from matokit_pipelines.windows import local_date

    plain = made(SourceSettings, values)
    secret = "\n".join(loaded.credentials(plain))
    account = _met(loaded, plain, clock)
    zone = account.site.zone
    last = local_date(clock.now(), zone)
    first = last - timedelta(days=DAYS - 1)
    chosen = guess_dimensions(account.dimensions or []) if given is None else given
    source = made(SourceSettings, values | {"dimensions": chosen, "start_date": first})
    connection = in_memory(clock.now())
    result = refresh.read_source(
        connection, loaded, source, secret, zone=zone.key, clock=clock, days=(first, last), progress=progress
    )
    if result.error:
        raise result.error
    build(connection, options=refresh.build_options(loaded, zone=zone.key), now=clock.now())
    return Trial(account, source, given is None, result, connection, first, last)


def _met(loaded: Loaded, source: SourceSettings, clock: Clock) -> Account:
    from matokit_pipelines.cli.losses import losses_at
    from matokit_pipelines.errors import AccessRefused
    from matokit_pipelines.warehouse import refresh

    if source.kind == "piwik_pro":
        piwik_pro = refresh.piwik_pro_client_for(loaded, source, clock)
        try:
            app = piwik_pro.app()
            found: list[Dimension] | None
            try:
                found = piwik_pro.dimensions()
            except AccessRefused:
                found = None
            return Account(app.site, found, losses_at(piwik_pro, app), piwik_pro.requests_made)
        finally:
            piwik_pro.close()
    matomo = refresh.matomo_client_for(loaded, source, clock)
    try:
        return Account(matomo.site(), matomo.dimensions(), [], matomo.requests_made)
    finally:
        matomo.close()
