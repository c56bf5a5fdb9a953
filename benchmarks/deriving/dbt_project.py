"""The models of sql/ as a dbt project, and the file that it works in. Prints JSON.

The SQL is the same to the letter, but for the names of tables and of the days asked for: `ref` and `source` of dbt,
and variables. A view is a view; a model derived anew is a table; one derived by day, week, month or commit is
incremental, where the days that are derived are deleted and inserted. What goes through Python (`step`) dbt cannot
run; it is left out with everything that reads it. Not here: running it (derive.py).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import yaml
from history import home_in

from matokit_pipelines import resources
from matokit_pipelines.warehouse import schemas, seeds
from matokit_pipelines.warehouse.models import LAYERS, Model, in_order, load_models
from matokit_pipelines.warehouse.refresh import build_options

_PARAMETER = re.compile(r"\$(first_day|last_day|start_ts|end_ts)\b")
_TYPES = {"first_day": "date", "last_day": "date", "start_ts": "timestamptz", "end_ts": "timestamptz"}
_PROJECT = {
    "name": "deriving",
    "version": "1.0",
    "profile": "deriving",
    "model-paths": ["models"],
    "macro-paths": ["macros"],
    "flags": {"send_anonymous_usage_stats": False, "use_colors": False},
}
_SCHEMA_NAMES = """
{% macro generate_schema_name(custom_schema_name, node) -%}{{ custom_schema_name }}{%- endmacro %}
"""


def node(table: str) -> str:
    """The name of a model in dbt, where names of two layers must differ."""
    return table.replace(".", "__")


def can_run(ordered: Iterable[Model]) -> dict[str, Model]:
    """The models that dbt can run: none with a step, none that reads such a one."""
    can: dict[str, Model] = {}
    for model in ordered:
        parents = {table for table in model.file.reads if table.split(".", 1)[0] in LAYERS}
        if not model.file.step and parents <= set(can):
            can[model.name] = model
    return can


def in_dbt(model: Model) -> str:
    """The text of the model's file."""
    file = model.file
    settings = {"schema": model.name.split(".", 1)[0], "alias": model.name.split(".", 1)[1]}
    if file.materialisation == "incremental":
        settings |= {"materialized": "incremental", "incremental_strategy": "delete+insert"}
        settings |= {"unique_key": file.part_column}
    else:
        settings["materialized"] = "view" if file.materialisation == "view" else "table"
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items())

    def table(found: re.Match[str]) -> str:
        layer, name = found[0].split(".", 1)
        return f"{{{{ ref('{node(found[0])}') }}}}" if layer in LAYERS else f"{{{{ source('{layer}', '{name}') }}}}"

    def day(found: re.Match[str]) -> str:
        return f"cast('{{{{ var(\"{file.by}_{found[1]}\") }}}}' as {_TYPES[found[1]]})"

    names = "|".join(re.escape(name) for name in sorted(file.reads, key=len, reverse=True))
    query = re.sub(rf"(?<![\w.])({names})\b(?!\.)", table, model.query) if names else model.query
    return f"{{{{ config({given}) }}}}\n{_PARAMETER.sub(day, query)}"


def write_project(folder: Path, file: Path, models: Mapping[str, Model], most_memory: str, threads: int) -> None:
    """The project in `folder`, working in the DuckDB file `file`."""
    for name, model in models.items():
        target = folder / "models" / name.split(".", 1)[0] / f"{node(name)}.sql"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(in_dbt(model), encoding="utf-8")
    outside: dict[str, set[str]] = {}
    for model in models.values():
        for table in model.file.reads:
            layer, name = table.split(".", 1)
            if layer not in LAYERS:
                outside.setdefault(layer, set()).add(name)
    sources = [
        {"name": layer, "schema": layer, "tables": [{"name": name} for name in sorted(names)]}
        for layer, names in sorted(outside.items())
    ]
    settings = {"timezone": "UTC", "memory_limit": most_memory, "temp_directory": str(folder / "tmp")}
    profile = {"type": "duckdb", "path": str(file), "schema": "main", "threads": threads, "settings": settings}
    _write(folder / "models" / "sources.yml", {"version": 2, "sources": sources})
    _write(folder / "dbt_project.yml", _PROJECT)
    _write(folder / "profiles.yml", {"deriving": {"target": "dev", "outputs": {"dev": profile}}})
    (folder / "macros").mkdir(exist_ok=True)
    (folder / "macros" / "names.sql").write_text(_SCHEMA_NAMES, encoding="utf-8")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")


def prepare_file(file: Path, options: seeds.BuildOptions) -> None:
    """What the models stand on besides what has landed: lists, macros, schemas."""
    root = resources.path("sql")
    with duckdb.connect(str(file)) as connection:
        connection.execute("set timezone = 'UTC'")
        schemas.ensure_schemas(connection)
        seeds.write_seeds(connection, seeds.load_seeds(root / "seeds", options))
        connection.execute((root / "macros.sql").read_text(encoding="utf-8"))


def note_commits(file: Path, commits: list[str]) -> None:
    """The commits that are derived, which dbt is told and need not find out."""
    with duckdb.connect(str(file)) as connection:
        connection.execute("delete from ledger.touched_commits")
        if commits:
            connection.execute("insert into ledger.touched_commits select unnest($commits)", {"commits": commits})


def main() -> None:
    """Make the project of a home, working in a copy of its file as it is, or note commits in that."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("project", type=Path)
    options.add_argument("--most-memory", default="8GB")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--commits", type=json.loads)
    chosen = options.parse_args()
    file = chosen.project / "warehouse.duckdb"
    if chosen.commits is not None:
        note_commits(file, chosen.commits)
        print("{}")
        return
    home = home_in(chosen.folder)
    chosen.project.mkdir(parents=True)
    shutil.copyfile(home.warehouse.path, file)
    prepare_file(file, build_options(home.loaded))
    ordered = in_order(load_models(resources.path("sql")))
    models = can_run(ordered)
    write_project(chosen.project, file, models, chosen.most_memory, chosen.threads)
    left_out = [model.name for model in ordered if model.name not in models]
    tables = [name for name, model in models.items() if model.file.materialisation != "view"]
    print(json.dumps({"tables": tables, "left_out": left_out}))


if __name__ == "__main__":
    main()
