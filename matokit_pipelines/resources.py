"""The data files of the package: in the wheel under `_data`, in a checkout beside the package.

Not here: anything that reads them.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_DAGSTER_FILES = ("dagster.yaml", "workspace.yaml")


def path(name: str) -> Path:
    """The file or folder `name` ("sql", "report_templates", "docs/runbook.md", "dagster.yaml",
    "workspace.yaml").

    FileNotFoundError when the installation is broken.
    """
    for base in (PACKAGE / "_data", PACKAGE.parent):
        found = base / name
        if found.exists():
            return found
    raise FileNotFoundError(f"{name} is neither in the installed package nor beside {PACKAGE}")


def dagster_home(home: Path) -> Path:
    """The folder of the home's Dagster instance."""
    return home / "dagster"


def put_dagster_settings(home: Path) -> str:
    """Put dagster.yaml and workspace.yaml into the home's DAGSTER_HOME, the only place where they are read.

    Files that are there already are left alone; the sentence says when they differ from those delivered.
    """
    folder = dagster_home(home)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _DAGSTER_FILES:
        if not (folder / name).exists():
            (folder / name).write_bytes(path(name).read_bytes())
    if differing := differing_dagster_settings(home):
        return f"{' and '.join(differing)} in {folder} differ from those delivered and were left as they are"
    return f"Dagster's settings are in {folder}"


def differing_dagster_settings(home: Path) -> list[str]:
    """The names of the files in the home's DAGSTER_HOME that are there and differ from those delivered."""
    used = {name: dagster_home(home) / name for name in _DAGSTER_FILES}
    return [name for name, file in used.items() if file.exists() and file.read_bytes() != path(name).read_bytes()]
