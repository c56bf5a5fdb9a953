"""Where the data files of the package lie: in the wheel under `_data`, in a checkout beside the package.

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
