"""The selects of the installer tools: `sql/tools/installer_<name>.sql`, read once. Not here: what is made of rows."""

from __future__ import annotations

from functools import cache

from matokit_pipelines import resources


@cache
def query(name: str) -> str:
    """The text of one select."""
    return (resources.path("sql") / "tools" / f"installer_{name}.sql").read_text(encoding="utf-8")
