"""`check-registry URL`: whether Opal would take a tool registry, before anybody presses the button there.

Not here: the rules (toolserver/registry_check.py).
"""

from __future__ import annotations

import typer

from matokit_pipelines.cli.frame import AsJson, frame_of


def check_registry(
    context: typer.Context,
    url: str = typer.Argument(help="Discovery URL, or the base of a tool server, such as https://tools.example.org."),
    as_json: bool = AsJson,
) -> None:
    """Fetch a discovery document as Opal does, without a token, and say what it would refuse."""
    import json
    from dataclasses import asdict

    from matokit_pipelines.clock import SystemClock
    from matokit_pipelines.errors import CheckFailed, SourceError
    from matokit_pipelines.sources.http import HttpLimits, HttpSession
    from matokit_pipelines.toolserver.registry_check import Finding, findings

    frame = frame_of(context)
    base = url.rstrip("/").removesuffix("/discovery")
    limits = HttpLimits(connect_timeout=10, read_timeout=20, attempts=2, budget=45)
    session = HttpSession("registry", base, SystemClock(), limits)
    try:
        answer = session.request("GET", "discovery", passing=lambda answer: None)
    finally:
        session.close()
    if answer.status != 200:
        raise SourceError(
            f"{base}/discovery answered {answer.status} without a token, and Opal sends none there; open that path."
        )
    found = findings(answer.body)
    if answer.kind != "application/json":
        found.insert(0, Finding("fault", "document", f"comes as {answer.kind or 'nothing'}, not as application/json"))
    faults = [one for one in found if one.kind == "fault"]
    if as_json:
        frame.rows([asdict(one) for one in found], as_json=True)
    else:
        for one in found:
            frame.say(f"{one.kind:<9}{one.where} {one.sentence}")
        if not faults:
            tools = len(json.loads(answer.body)["functions"])
            frame.say(f"Opal would take this registry: {tools} tools.")
    if faults:
        raise CheckFailed(f"Opal would refuse {base}/discovery: {len(faults)} faults, the first: {faults[0].where}.")
