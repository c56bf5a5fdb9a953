"""The container, compose and workflow files, as far as they can be judged without a container engine.

What running them showed, and with what, is in docs/operations.md.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from matokit_pipelines.cli import main
from tests.upstreams import Reply, Upstream

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
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    data = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {"pyproject.toml", "matokit_pipelines", *data} <= copied


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
    assert service["init"] is True  # else a process whose parent was killed stays behind for good


@pytest.mark.parametrize(("name", "port"), [("dagster", 3000), ("tools", 4000)])
def test_each_service_says_itself_how_its_health_is_asked(name: str, port: int) -> None:
    """An image in the OCI format loses its own HEALTHCHECK; podman-compose 1.0 misquotes a test that is a list."""
    test = COMPOSE["services"][name]["healthcheck"]["test"]
    python, flag, code = shlex.split(test)
    assert (python, flag) == ("python", "-c")
    compile(code, name, "exec")
    assert f"http://127.0.0.1:{port}/" in code


def test_a_health_test_tells_up_from_down() -> None:
    code = shlex.split(COMPOSE["services"]["tools"]["healthcheck"]["test"])[2]
    with Upstream(lambda method, params: Reply(b"")).serving() as there:
        up = code.replace("http://127.0.0.1:4000", there.url)
        assert subprocess.run([sys.executable, "-c", up], check=False).returncode == 0
    down = subprocess.run([sys.executable, "-c", up], check=False, capture_output=True)
    assert down.returncode != 0


def test_filled_in_credentials_are_kept_out_of_the_repository() -> None:
    kept_out = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {name for service in COMPOSE["services"].values() for name in service["env_file"]} <= set(kept_out)


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
