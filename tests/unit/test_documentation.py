"""The documents keep step with the code: every setting, table, list and link."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from matokit_pipelines import settings
from matokit_pipelines.cli.setting_up import settings_document

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_the_list_of_settings_is_the_one_that_the_code_makes() -> None:
    """Make it anew with: python -m matokit_pipelines.cli.setting_up > docs/settings.md."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_document()


def test_every_section_of_the_settings_is_listed() -> None:
    text = settings_document()
    for section in (*settings.SECTIONS.values(), settings.SourceSettings):
        for key in section.model_fields:
            assert f"`{key}`" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_runtime_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
        name = re.split(r"[<>=]", requirement)[0]
        if not name.startswith("types-"):
            assert re.search(rf"\b{re.escape(name)}\b", text), name


def test_the_lists_that_the_events_document_names_are_the_seeds() -> None:
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    for name, column in (("error_suffixes", "suffix"), ("categories", "category"), ("marker_endings", "ending")):
        with (ROOT / "sql" / "seeds" / f"{name}.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                word = row[column].lower()
                assert word in text.lower() or word.removeprefix("installer") in text.lower(), word
