"""What `doctor` asks of the ways of delivery: do Slack and the mail server take us, has every destination a way.

Nothing is sent. Not here: sending (delivery/), a message to each destination (send_test.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

from matokit_pipelines.cli.findings import Finding, guarded
from matokit_pipelines.cli.frame import shortened
from matokit_pipelines.delivery_settings import RecipientSettings, SmtpSettings
from matokit_pipelines.errors import FINE, REFUSED, USAGE
from matokit_pipelines.settings import WEBHOOK, Loaded

TOKEN, SLACK_WEBHOOK, PASSWORD = "MATOKIT_SLACK_TOKEN", "MATOKIT_SLACK_WEBHOOK", "MATOKIT_SMTP_PASSWORD"
# what the bot needs, and what goes without it
SCOPES = {
    "chat:write": "nothing can be sent",
    "files:write": "charts are left out",
    "channels:history": "a message whose answer got lost may come twice",
}
NEEDED = "chat:write"


def check_delivery(loaded: Loaded, now: datetime) -> Iterator[Finding]:
    """Everything about delivery, in the order: calendar, recipients, Slack, mail, webhooks."""
    yield from guarded("alerts", _calendar(loaded, now))
    used = destinations_in_use(loaded)
    yield from _recipients(loaded)
    slack, mail, hooks = (sorted(d for d in used if d.startswith(kind)) for kind in ("slack:", "email:", "webhook:"))
    yield from _slack(loaded, slack)
    yield from _mail(loaded, mail)
    for hook in hooks:
        yield _webhook(loaded, hook)


def destinations_in_use(loaded: Loaded) -> dict[str, list[str]]:
    """Every destination with who uses it: groups of recipients, and rules that name one themselves."""
    settings = loaded.settings
    found: dict[str, list[str]] = {}
    for group in RecipientSettings.model_fields:
        for destination in getattr(settings.recipients, group):
            found.setdefault(destination, []).append(group)
    for rule, chosen in settings.alerts.rules.named():
        for name in chosen.destinations:
            if chosen.enabled and name not in RecipientSettings.model_fields:
                found.setdefault(name, []).append(rule)
    return found


def _calendar(loaded: Loaded, now: datetime) -> Iterator[Finding]:
    """When the next digests leave; raises what the calendar cannot be made of, such as an unknown country."""
    from matokit_pipelines.alerts.business_days import Calendar
    from matokit_pipelines.alerts.why_words import day_and_clock

    alerts = loaded.settings.alerts
    if not alerts.enabled:
        yield Finding("note", "alerts", "switched off by alerts.enabled: nothing is evaluated and nothing is told")
        return
    calendar = Calendar.of(alerts, loaded.settings.project.zone)
    warnings, health = (
        day_and_clock(at, calendar.zone) for at in (calendar.next_opening(now), calendar.next_daily(now))
    )
    off = [name for name, rule in alerts.rules.named() if not rule.enabled]
    without = f"; switched off: {', '.join(off)}" if off else ""
    yield Finding("good", "alerts", f"next digest of warnings {warnings}, next daily health {health}{without}")


def _recipients(loaded: Loaded) -> Iterator[Finding]:
    recipients = loaded.settings.recipients
    empty = [group for group in RecipientSettings.model_fields if not getattr(recipients, group)]
    if empty:
        names = ", ".join(empty)
        there = loaded.home / "messages"
        yield Finding("note", "recipients", f"nobody in {names}: what they would be told becomes files in {there}")


# -- Slack ------------------------------------------------------------------------------------------------------------


def _slack(loaded: Loaded, destinations: list[str]) -> Iterator[Finding]:
    token, webhook = loaded.secret(TOKEN), loaded.secret(SLACK_WEBHOOK)
    named = ", ".join(destinations)
    if token:
        if not destinations:
            yield Finding("note", "slack", f"{TOKEN} is set, and no recipient is a slack: destination")
        yield from _bot(loaded, token)
    elif webhook:
        yield Finding(
            "note", "slack", "an incoming webhook is set: no threads, no charts, and a lost answer may mean a message "
            "twice; only `matokit send-test` shows whether it works",
        )  # fmt: skip
    elif destinations:
        yield Finding("failed", "slack", f"{named} cannot be reached without a bot token in {TOKEN}.", USAGE)


def _bot(loaded: Loaded, token: str) -> Iterator[Finding]:
    from slack_sdk import WebClient

    from matokit_pipelines.delivery.slack import QUIET
    from matokit_pipelines.delivery.slack_answers import FAILURES, outcome_of

    patience = loaded.settings.slack
    client = WebClient(
        token, base_url=patience.api_url, timeout=math.ceil(patience.timeout), retry_handlers=[], logger=QUIET
    )
    try:
        answer = client.auth_test()
    except FAILURES as error:
        why = getattr(outcome_of(error, "auth.test"), "why", "it answered in another way than Slack does")
        yield Finding("failed", "slack", f"{patience.api_url}: {why}.", REFUSED)
        return
    who = f"{shortened(str(answer.get('user', '?')))} in {shortened(str(answer.get('team', '?')))}"
    yield Finding("good", "slack", f"{patience.api_url} takes the token; it is {who}")
    scopes = {scope.strip() for scope in _header(answer.headers, "x-oauth-scopes").split(",") if scope.strip()}
    for scope, without in SCOPES.items() if scopes else ():
        if scope not in scopes:
            sentence = f"the token has no scope {scope}, so {without}; add it to the app and install it again."
            is_needed = scope == NEEDED
            yield Finding("failed" if is_needed else "note", "slack", sentence, REFUSED if is_needed else FINE)


def _header(headers: object, name: str) -> str:
    """A header of an answer, whatever its case."""
    found = {str(key).lower(): value for key, value in dict(headers).items()} if isinstance(headers, dict) else {}
    value = found.get(name, "")
    return ",".join(value) if isinstance(value, list) else str(value)


# -- mail -------------------------------------------------------------------------------------------------------------


def _mail(loaded: Loaded, destinations: list[str]) -> Iterator[Finding]:
    smtp = loaded.settings.smtp
    if not smtp.host:
        if destinations:
            named = ", ".join(destinations)
            yield Finding("failed", "smtp", f"{named} cannot be reached without smtp.host; name a mail server.", USAGE)
        return
    if not destinations:
        yield Finding("note", "smtp", "smtp.host is set, and no recipient is an email: destination")
    yield _server(smtp, loaded.secret(PASSWORD))


def _server(smtp: SmtpSettings, password: str | None) -> Finding:
    """Whether the server lets us in."""
    from matokit_pipelines.delivery.email import Mail

    if smtp.username and not password:
        return Finding("failed", "smtp", f"smtp.username is set without {PASSWORD}; put the password there.", USAGE)
    if why := Mail((), smtp, password).check():
        return Finding("failed", "smtp", f"{why}.", REFUSED)
    secured = {"starttls": "STARTTLS", "tls": "TLS", "none": "no encryption"}[smtp.security]
    login = f", as {smtp.username}" if smtp.username else ""
    where = f"{smtp.host}:{smtp.port}"
    return Finding("good", "smtp", f"{where} answers with {secured}{login}; mails come from {smtp.sender}")


# -- webhooks ---------------------------------------------------------------------------------------------------------


def _webhook(loaded: Loaded, destination: str) -> Finding:
    """Whether the address is there and of a form that can be used; it holds a secret, so it is never shown."""
    from apprise import Apprise

    import matokit_pipelines.delivery.webhooks  # noqa: F401 - from then on Apprise prints no address

    variable = WEBHOOK + destination.partition(":")[2].upper()
    address = loaded.secret(variable)
    if not address:
        return Finding("failed", destination, f"its address is missing; put it into {variable}.", USAGE)
    if Apprise.instantiate(address) is None:
        return Finding("failed", destination, f"{variable} is no address that Apprise knows; correct it.", USAGE)
    return Finding("good", destination, f"{variable} is an address that can be used; `matokit send-test` tries it")
