"""Which transport a destination has, by the settings and the secrets. Not here: what each does."""

from __future__ import annotations

from matokit_pipelines.delivery.transport import Later, Transport
from matokit_pipelines.settings import WEBHOOK, Loaded


def transport_for(destination: str, loaded: Loaded) -> Transport | Later:
    """The way to a destination, or why there is none yet. Secrets are read anew, so that they can be renewed.

    Libraries are loaded for what is used only. SettingsError when the file of a secret cannot be read.
    """
    kind, _, place = destination.partition(":")
    if kind == "slack":
        return _slack(place, loaded)
    if kind == "email":
        return _mail(tuple(place.split(",")), loaded)
    if kind == "webhook":
        return _webhook(place, loaded)
    if kind == "files":
        from matokit_pipelines.delivery.message_files import MessageFiles

        return MessageFiles(loaded.home)
    if kind == "console":
        from matokit_pipelines.delivery.console import Console

        return Console()
    return _none(f'"{destination}" is no destination; correct it in [recipients]')


def _slack(channel: str, loaded: Loaded) -> Transport | Later:
    settings = loaded.settings.slack
    if token := (loaded.secret("MATOKIT_SLACK_TOKEN") or "").strip():
        from matokit_pipelines.delivery.slack import SlackBot

        return SlackBot(channel, token, settings.api_url, settings.timeout)
    if url := (loaded.secret("MATOKIT_SLACK_WEBHOOK") or "").strip():
        from matokit_pipelines.delivery.slack_webhook import SlackWebhook

        return SlackWebhook(url, settings.timeout)
    return _none("there is no way to Slack; put a bot token into MATOKIT_SLACK_TOKEN")


def _mail(recipients: tuple[str, ...], loaded: Loaded) -> Transport | Later:
    if not loaded.settings.smtp.host:
        return _none("there is no mail server; name one in smtp.host")
    from matokit_pipelines.delivery.email import Mail

    return Mail(recipients, loaded.settings.smtp, loaded.secret("MATOKIT_SMTP_PASSWORD"))


def _webhook(name: str, loaded: Loaded) -> Transport | Later:
    variable = f"{WEBHOOK}{name.upper()}"
    if url := (loaded.secret(variable) or "").strip():
        from matokit_pipelines.delivery.webhooks import Webhook

        return Webhook(name, url)
    return _none(f"there is no address of webhook {name}; put one into {variable}")


def _none(why: str) -> Later:
    return Later(why, answered=False, is_down=True)
