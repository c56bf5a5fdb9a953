"""What every section of the settings is: frozen, and an unknown key is an error. Not here: any setting."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
