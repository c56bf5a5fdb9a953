"""The container, compose and workflow files, as far as they can be judged without a container engine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from matokit_pipelines.cli import main

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "image.yml").read_text(encoding="utf-8"))


def test_what_the_image_copies_is_there_and_is_all_that_the_wheel_needs() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINER, re.MULTILINE)
        for name in shlex.split(line)[:-1]
    }
    assert all((ROOT / name).exists() for name in copied)
    assert {
        "pyproject.toml",
        "matokit_pipelines",
        "sql",
        "report_templates",
        "dagster.yaml",
        "workspace.yaml",
    } <= copied


def test_nothing_runs_as_root() -> None:
    assert re.findall(r"^USER (\d+)$", CONTAINER, re.MULTILINE) == ["10001"]
    assert all(service["user"] == "10001" for service in COMPOSE["services"].values())


@pytest.mark.parametrize("name", ["dagster", "tools"])
def test_each_service_is_closed_and_watched(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["image"] == "${MATOKIT_IMAGE:-matokit}"
    assert service["env_file"] == ["matokit.env"]
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert "healthcheck" in service or "HEALTHCHECK" in CONTAINER


@pytest.mark.parametrize("name", ["dagster", "tools"])
def test_the_commands_are_commands_of_ours(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, *options = COMPOSE["services"][name]["command"]
    assert main.run([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert all(option in said for option in options if option.startswith("--"))


def test_port_4000_everywhere() -> None:
    assert "EXPOSE 4000" in CONTAINER
    assert COMPOSE["services"]["tools"]["ports"] == ["127.0.0.1:${TOOLS_PORT:-4000}:4000"]


def test_the_example_of_credentials_names_variables_that_are_read() -> None:
    text = (DEPLOY / "matokit.env.example").read_text(encoding="utf-8")
    names = re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)
    assert "MATOKIT_TOOLSERVER_TOKEN" in names
    known = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in names:
        own = name.startswith("MATOKIT_TOOLSERVER_") and not name.endswith("TOKEN")
        assert not own or f"| `{name.removeprefix('MATOKIT_TOOLSERVER_').lower()}` |" in known


def test_the_workflow_builds_starts_and_asks() -> None:
    steps = WORKFLOW["jobs"]["build"]["steps"]
    script = "\n".join(step.get("run", "") for step in steps)
    assert "docker build -f deploy/Containerfile" in script
    assert "/healthz" in script
    assert "check-registry" in script
    assert WORKFLOW["permissions"] == {"contents": "read"}
