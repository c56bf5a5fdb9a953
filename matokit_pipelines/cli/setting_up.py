"""`init` and `doctor`: the settings file, and whether everything it names can be used.

Not here: what the settings are (settings.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matokit_pipelines.cli.frame import AsJson, Frame, frame_of

if TYPE_CHECKING:
    from pydantic import BaseModel

_HEAD = """# Settings of matokit. Every key can also be given as a variable
# MATOKIT_<SECTION>_<KEY>; for a source the section is its name.
# Credentials never stand here: see .env.example beside this file. `matokit doctor` prints what is in force.
"""

_WHERE_FROM = {
    "matomo": "Copy to .env and fill in: a token with view access (Administration, Personal, Security, Auth tokens).",
    "piwik_pro": "Copy to .env and fill in: Menu, Profile, API credentials, of a user who may view the site.",
}


def init(
    context: typer.Context,
    url: str | None = typer.Option(None, help="Address of your Matomo, or of your Piwik PRO account."),
    site: str | None = typer.Option(None, help="Number of the site (Matomo), or its id (Piwik PRO)."),
    kind: str | None = typer.Option(None, help="matomo or piwik_pro; default: as site and address look."),
    name: str = typer.Option("installers", help="Short name of the source; part of its credentials' variables."),
    timezone: str = typer.Option("Europe/Copenhagen", help="Zone in which days are cut."),
    dimensions: str = typer.Option("os=1,architecture=2,commit=3", help="Which custom dimension carries what."),
    start_date: str | None = typer.Option(None, help="First day to read; default: 90 days back."),
    repository: str = typer.Option("", help="Web address of the scripts' repository."),
    force: bool = typer.Option(False, help="Overwrite an existing file."),
) -> None:
    """Write matokit.toml, every line explained, and .env.example."""
    from matokit_pipelines import resources
    from matokit_pipelines.cli.kinds import EXAMPLES, kind_of
    from matokit_pipelines.errors import SettingsError
    from matokit_pipelines.settings import FILE_NAME, ProjectSettings, SourceSettings, made
    from matokit_pipelines.warehouse.connection import translated

    frame = frame_of(context)
    target = Path.cwd() / FILE_NAME
    meant, remark = kind_of(kind, url, site)
    example_url, example_site = EXAMPLES.get(meant, EXAMPLES["matomo"])
    values = {
        "name": name, "kind": meant, "url": url or example_url, "site_id": site or example_site,
        "dimensions": parse_dimensions(dimensions), "start_date": start_date,
    }  # fmt: skip
    source = made(SourceSettings, values)
    project = made(ProjectSettings, {"timezone": timezone, "repository_url": repository})
    if target.exists() and not force:
        raise SettingsError(f"{target} exists already; edit it, or overwrite it with --force.")
    if not target.exists():
        Frame().loaded()  # a home or variables that cannot be used are told before anything is written
    secrets = "".join(f"{variable}=\n" for variable in source.secret_variables)
    with translated(target):
        target.write_text(settings_text(project, source), encoding="utf-8")
        target.with_name(".env.example").write_text(f"# {_WHERE_FROM[source.kind]}\n{secrets}", encoding="utf-8")
        there = resources.put_dagster_settings(Frame(config=target).loaded().home)
    if remark:
        frame.say(remark)
    frame.say(f"Wrote {target.name} and .env.example; {there}.")
    variables = " and ".join(source.secret_variables)
    frame.say(f"Next: put credentials with view access into {variables} (or .env), then `matokit doctor`.")


def parse_dimensions(text: str) -> dict[str, int]:
    """`os=1,architecture=2` as a dict; SettingsError for anything else."""
    from matokit_pipelines.errors import SettingsError

    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {meaning.strip(): int(number) for meaning, number in pairs}
    except ValueError as error:
        raise SettingsError(f'"{text}" does not name dimensions; write os=1,architecture=2,commit=3.') from error


def settings_text(project: BaseModel, source: BaseModel) -> str:
    """The settings file: what was asked for, and every other key with its default, commented out."""
    from matokit_pipelines.settings import SECTIONS

    parts = [_HEAD, "[project]", *_lines(project, given=True), "", "[[sources]]", *_lines(source, given=True), ""]
    for name, model in SECTIONS.items():
        if name != "project":
            parts += [f"[{name}]", *_lines(model(), given=False), ""]
    return "\n".join(parts)


def settings_document() -> str:
    """docs/settings.md: every setting, its default and what it does."""
    from matokit_pipelines.alert_settings import AllRules
    from matokit_pipelines.settings import SECTIONS, SourceSettings

    parts = [
        "# Settings\n\nIn `matokit.toml`, or as a variable `MATOKIT_<SECTION>_<KEY>`; for a source the section is its "
        "name. Looked for in this order: `--config`, `MATOKIT_CONFIG`, `./matokit.toml`, `$MATOKIT_HOME/matokit.toml`. "
        "Unknown keys are errors. Credentials never stand in the file: `MATOKIT_<NAME>_CLIENT_ID` and "
        "`MATOKIT_<NAME>_CLIENT_SECRET` (Piwik PRO) or `MATOKIT_<NAME>_TOKEN` (Matomo), each also as `..._FILE`: the "
        "name of a file, which is read again each time. A `.env` beside the file is read as well.\n"
    ]
    for title, model in ({"[[sources]]": SourceSettings} | {f"[{name}]": m for name, m in SECTIONS.items()}).items():
        rows = []
        for key, field in model.model_fields.items():
            value = None if field.is_required() else field.get_default(call_default_factory=True)
            default = "required" if field.is_required() else "–" if value is None else f"`{toml_of(value)}`"
            if isinstance(value, AllRules):
                default = "–"
            rows.append(f"| `{key}` | {default} | {field.description} |")
        parts.append("\n".join([f"## {title}\n", "| key | default | |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _lines(section: BaseModel, *, given: bool) -> list[str]:
    from matokit_pipelines.alert_settings import AllRules

    lines = []
    for key, field in type(section).model_fields.items():
        if isinstance(getattr(section, key), AllRules):
            lines.append("# [alerts.rules.<rule>]: docs/alerts.md lists each rule's settings")
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if extra.get("kind", getattr(section, "kind", None)) != getattr(section, "kind", None):
            continue  # means nothing for a source of this kind, or for a first one
        value = getattr(section, key)
        off = "" if given and (key in section.model_fields_set and value is not None) else "# "
        example = field.examples[0] if value is None and field.examples else value
        lines += [f"# {field.description}", f"{off}{key} = {toml_of(example)}"]
    return lines


def toml_of(value: object) -> str:
    """A value as it stands in the settings file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if hasattr(value, "model_dump"):
        value = value.model_dump(by_alias=True)
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {toml_of(entry)}" for key, entry in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_of(entry) for entry in value) + "]"
    return str(value)


def doctor(
    context: typer.Context,
    why_missing: bool = typer.Option(
        False, "--why-missing", help="Instead: what has just arrived at Piwik PRO, and what became of it."
    ),
    visitor: str | None = typer.Option(
        None, help="With --why-missing: only this visitor, 16 hex digits as sent in cid."
    ),
    minutes: int | None = typer.Option(None, min=1, max=300, help="With --why-missing: look back so far; default: 30."),
    as_json: bool = AsJson,
) -> None:
    """Check settings, sources, credentials, zone, dimensions and warehouse; nothing is sent or changed."""
    from matokit_pipelines.cli import why_missing as missing
    from matokit_pipelines.cli.checkup import check_up
    from matokit_pipelines.cli.findings import Finding
    from matokit_pipelines.errors import SettingsError

    frame = frame_of(context)
    home = frame.home()
    if why_missing:
        missing.tell(frame, home, visitor=visitor, minutes=minutes or missing.USUAL_MINUTES, as_json=as_json)
        return
    if visitor is not None or minutes is not None:
        raise SettingsError("--visitor and --minutes belong to --why-missing; add it, or leave them out.")
    findings: list[Finding] = []
    for finding in check_up(home):
        findings.append(finding)
        if not as_json:
            frame.say(f"{finding.mark:<5}{finding.what}: {finding.sentence}")
    if as_json:
        frame.rows([{"state": f.state, "what": f.what, "sentence": f.sentence} for f in findings], as_json=True)
    failed = [finding for finding in findings if finding.state == "failed"]
    if failed:
        raise typer.Exit(failed[0].exit_code)


if __name__ == "__main__":
    typer.echo(settings_document(), nl=False)
