"""`health URL`: whether a tool server is up, ready and well, with an exit code for deployments.

Not here: the checks themselves (toolserver/health/), one's own home (`status`, `doctor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matokit_pipelines.cli.frame import Frame
    from matokit_pipelines.clock import Clock
    from matokit_pipelines.sources.http import Answer, HttpSession

TOKENS = ("MATOKIT_TOOLSERVER_TOKEN", "OPAL_BEARER_TOKEN")
HEALTH = "tools/get-health-status"
NO_FAULT = "reports-cache"  # says that nobody asks twice, which is no reason to take a server out of service
LOG_IN = "token"
LOOK_AGAIN_SECONDS = 1.0


def health(
    context: typer.Context,
    url: str = typer.Argument(help="Address of the tool server, such as https://tools.example.org."),
    token_variable: str | None = typer.Option(
        None, help="Variable (or its _FILE form) with a token; default: MATOKIT_TOOLSERVER_TOKEN or OPAL_BEARER_TOKEN."
    ),
    wait: float = typer.Option(0.0, min=0, max=3_600, help="Seconds to wait until it is ready, after a deployment."),
    as_json: bool = AsJson,
) -> None:
    """Ask a tool server how it is. Leaves with 0 healthy, 4 degraded (old data, say), 3 unhealthy or not reached.

    With 2 when it does not take the token.
    """
    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.errors import DataIncomplete, SettingsError, SourceUnavailable
    from matokit_pipelines.sources.http import HttpLimits, HttpSession

    frame = frame_of(context)
    base = url.rstrip("/")
    variable, token = _token(frame, token_variable)
    clock = SystemClock()
    limits = HttpLimits(connect_timeout=5, read_timeout=30, attempts=1, budget=3_700)
    session = HttpSession("tool server", base, clock, limits, transient=frozenset())
    try:
        checks = list(_checks(session, clock, token, wait))
    finally:
        session.close()
    if as_json:
        frame.rows(checks, as_json=True)
    else:
        for check in checks:
            frame.say(f"{check['status']:<6}{check['name']:<18} {check['output']}")
    bad = [check["name"] for check in checks if check["status"] == "fail" and check["name"] != NO_FAULT]
    doubtful = [check["name"] for check in checks if check["status"] != "pass" and check["name"] not in bad]
    if bad == [LOG_IN]:
        raise SettingsError(f"{base} does not take the token in {variable}; put one there that it takes.")
    if bad:
        raise SourceUnavailable(f"{base} is unhealthy ({', '.join(bad)}); its answer above says why.")
    if doubtful:
        raise DataIncomplete(f"{base} is degraded ({', '.join(doubtful)}); its answer above says why.")
    if not as_json:
        frame.say(f"{base} is {'healthy' if token else 'up and ready; with a token more can be told'}.")


def _token(frame: Frame, variable: str | None) -> tuple[str, str | None]:
    """The token to ask with, behind the variable that holds it; None without one, when no variable was named."""
    from matokit_pipelines.errors import SettingsError

    loaded = frame.loaded()
    for name in (variable,) if variable else TOKENS:
        if found := (loaded.secret(name) or "").strip():
            return name, found
    if variable:
        raise SettingsError(f"{variable} holds no token; put one that the server takes there, or leave it out.")
    return "", None


def _checks(session: HttpSession, clock: Clock, token: str | None, wait: float) -> Iterator[dict[str, Any]]:
    """Up, ready, and with a token each check of the health tool. The first that fails is the last."""
    until = clock.now().timestamp() + wait
    while True:
        up, ready = _probe(session, "healthz"), _probe(session, "readyz")
        if not (up or ready) or clock.now().timestamp() >= until:
            break
        clock.sleep(LOOK_AGAIN_SECONDS)
    yield _check("process", up, "The process is up.")
    if up:
        return
    ready_now = "A snapshot of the tables is in service."
    yield _check("ready", ready and f"{ready} Nothing is published yet, or it cannot be opened.", ready_now)
    if token:
        yield from _told(session, token)


def _check(name: str, trouble: str, fine: str) -> dict[str, Any]:
    return {"name": name, "status": "fail" if trouble else "pass", "output": trouble or fine}


def _probe(session: HttpSession, path: str) -> str:
    """What is wrong with a probe; nothing when it answers 200."""
    from matokit_pipelines.errors import SourceError

    try:
        answer = session.request("GET", path, passing=lambda answer: None)
    except SourceError as error:
        return _why(error)
    return "" if answer.status == 200 else f"/{path} answered {answer.status}."


def _told(session: HttpSession, token: str) -> Iterator[dict[str, Any]]:
    """The checks of the health tool, or why it did not tell."""
    from matokit_pipelines.errors import SourceError

    headers = {"Authorization": f"Bearer {token}"}
    try:
        answer = session.request("GET", HEALTH, headers=headers, passing=lambda answer: None)
    except SourceError as error:
        yield _check("health", _why(error), "")
        return
    found = _document(answer)
    if answer.status != 200 or not isinstance(found.get("checks"), list):
        said = found.get("error")
        why = f": {said}" if isinstance(said, str) else "."
        yield _check(LOG_IN if answer.status == 401 else "health", f"/{HEALTH} answered {answer.status}{why}", "")
        return
    for check in found["checks"]:
        yield {key: check[key] for key in ("name", "status", "output", "observedValue", "observedUnit") if key in check}


def _document(answer: Answer) -> dict[str, Any]:
    import json

    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _why(error: Exception) -> str:
    """Our sentence about a source, as far as it is about the connection."""
    import re

    found = re.search(r": (.+), \d+ times in a row", str(error))
    said = found[1] if found else str(error).split("; ")[0].rstrip(".")
    return f"{said[:1].upper()}{said[1:]}."
