"""The documents keep step with the code: every setting, table, list and link."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from matokit_pipelines import settings
from matokit_pipelines.cli.setting_up import settings_document
from matokit_pipelines.cli.tables_document import tables_document
from matokit_pipelines.warehouse.build import BuildOptions
from matokit_pipelines.warehouse.models import load_models
from matokit_pipelines.warehouse.reading import RawEvent, read_all

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


def test_the_list_of_tables_is_the_one_that_the_models_make() -> None:
    """Make it anew with: python -m matokit_pipelines.cli.tables_document > docs/tables.md."""
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == tables_document()


def test_every_column_of_every_table_is_listed_with_its_type() -> None:
    sections = re.split(r"^### ", tables_document(), flags=re.MULTILINE)[1:]
    models = load_models(ROOT / "sql")
    assert {section.split("\n", 1)[0] for section in sections} == set(models)
    for section in sections:
        name, text = section.split("\n", 1)
        for column in models[name].file.columns:
            assert re.search(rf"^\| (\*\*)?`{column.name}`(\*\*)? \| {column.type} \| ", text, re.MULTILINE), (
                column.name
            )


def test_every_anchor_of_the_list_of_tables_is_a_heading() -> None:
    text = tables_document()
    anchors = set(re.findall(r"\]\(#([^)]+)\)", text))
    headings = {heading.replace(".", "") for heading in re.findall(r"^### (\S+)$", text, re.MULTILINE)}
    assert anchors == headings


def test_what_the_events_document_calls_right_or_wrong_is_read_so() -> None:
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (-?\d+) \| (right|wrong) \|", text, re.MULTILINE)
    assert {verdict for _, _, verdict in rows} == {"right", "wrong"}
    readings = read_all(BuildOptions(), [RawEvent("Installer_PROD", name, float(value)) for name, value, _ in rows])
    for (name, value, verdict), (_, findings) in zip(rows, readings, strict=True):
        assert bool([f for f in findings if f.kind != "old_name"]) == (verdict == "wrong"), (name, value)


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
