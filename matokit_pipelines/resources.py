"""The data files of the package: in the wheel under `_data`, in a checkout beside the package.

Not here: anything that reads them.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def path(name: str) -> Path:
    """The file or folder `name` ("sql", "report_templates", "dagster.yaml", "workspace.yaml").

    FileNotFoundError when the installation is broken.
    """
    for base in (_PACKAGE / "_data", _PACKAGE.parent):
        found = base / name
        if found.exists():
            return found
    raise FileNotFoundError(f"{name} is neither in the installed package nor beside {_PACKAGE}")


def dagster_home(home: Path) -> Path:
    """The folder of the home's Dagster instance."""
    return home / "dagster"


def put_dagster_settings(home: Path) -> str:
    """Put dagster.yaml and workspace.yaml into the home's DAGSTER_HOME, the only place where they are read.

    Files that are there already are left alone; the sentence says when they differ from those delivered.
    """
    folder = dagster_home(home)
    folder.mkdir(parents=True, exist_ok=True)
    differing = []
    for name in ("dagster.yaml", "workspace.yaml"):
        delivered, used = path(name).read_bytes(), folder / name
        if not used.exists():
            used.write_bytes(delivered)
        elif used.read_bytes() != delivered:
            differing.append(name)
    if differing:
        return f"{' and '.join(differing)} in {folder} differ from those delivered and were left as they are"
    return f"Dagster's settings are in {folder}"
