"""The order of the packages: each imports only what stands above it, and only orchestration loads Dagster."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "matokit_pipelines"
ORDER = [
    "resources", "errors", "clock", "windows", "section", "delivery_settings", "alert_settings", "report_settings",
    "toolserver_settings", "settings", "statistics", "simulator", "sources", "state", "warehouse", "delivery", "alerts",
    "reports", "toolserver", "orchestration", "cli",
]  # fmt: skip
GROUND = {
    "resources",
    "errors",
    "clock",
    "windows",
    "section",
    "delivery_settings",
    "alert_settings",
    "report_settings",
    "toolserver_settings",
    "settings",
}


def layer_of(module: str) -> str:
    """The layer of `matokit_pipelines.x.y`; "" for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def trees() -> dict[Path, ast.Module]:
    """Every file of ours as it is read by Python."""
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports() -> list[tuple[Path, str, str]]:
    """(file, its layer, layer of what it imports), imports inside functions included."""
    found = []
    for file, tree in trees().items():
        own = layer_of(".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file} imports by dots"
                module = node.module or ""
                names = [f"{module}.{alias.name}" for alias in node.names] if module == PACKAGE.name else [module]
            found += [(file, own, layer_of(name)) for name in names if name.split(".")[0] == PACKAGE.name]
    return found


def test_every_layer_stands_in_the_order() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__", "_data", "__pycache__", "__main__"} == set(ORDER)


def test_imports_point_one_way() -> None:
    wrong = [
        f"{file.relative_to(PACKAGE)} imports {other}"
        for file, own, other in imports()
        if own in ORDER and other in ORDER and ORDER.index(other) > ORDER.index(own)
    ]
    assert wrong == []


def test_simulator_imports_nothing_of_ours() -> None:
    assert [str(file) for file, own, other in imports() if own == "simulator" and other not in ("simulator", "")] == []


def test_sources_know_no_warehouse_and_reports_no_sources() -> None:
    pairs = {(own, other) for _, own, other in imports()}
    assert ("sources", "warehouse") not in pairs
    assert ("reports", "sources") not in pairs
    assert {other for own, other in pairs if own == "statistics"} <= GROUND


@pytest.mark.parametrize(
    ("word", "owners"),
    [("dagster", {"orchestration"}), ("duckdb", {"warehouse", "cli"}), ("requests", {"sources"}), ("typer", {"cli"})],
)
def test_each_library_has_its_owner(word: str, owners: set[str]) -> None:
    users = set()
    for file, tree in trees().items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] == word for name in names):
                users.add(file.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    assert users <= owners


def loaded_by(code: str) -> set[str]:
    """Which of the heavy libraries a fresh process has loaded after `code`."""
    heavy = ("dagster", "duckdb", "polars", "altair", "numpy", "requests", "pyarrow")
    tell = f"print(*[m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    command = [sys.executable, "-c", f"import sys\n{code}\n{tell}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=PACKAGE.parent)
    return set(ran.stderr.split())


@pytest.mark.parametrize("layer", [layer for layer in ORDER if layer != "orchestration"])
def test_only_orchestration_loads_dagster(layer: str) -> None:
    folder = PACKAGE / layer
    modules = [f"matokit_pipelines.{layer}"]
    modules += [f"matokit_pipelines.{layer}.{file.stem}" for file in folder.glob("*.py") if file.stem != "__init__"]
    assert "dagster" not in loaded_by("\n".join(f"import {module}" for module in modules))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["extract", "--help"], ["report", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    found = loaded_by(f"from matokit_pipelines.cli import main\nassert main.run({words!r}) == 0")
    assert found == set()
