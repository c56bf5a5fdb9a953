"""docs/tables.md: every table of marts and staging, from their model.yaml and checks.sql.

Run `python -m matokit_pipelines.cli.tables_document > docs/tables.md`. Not here: what the tables are (sql/), answers to
questions (docs/cookbook.md, written by hand).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from matokit_pipelines import resources
from matokit_pipelines.warehouse.checks import written_checks
from matokit_pipelines.warehouse.models import Column, Model, ModelFile, load_models

_HEAD = """# Tables

Made from `sql/<layer>/<table>/model.yaml`; change it there, then
`python -m matokit_pipelines.cli.tables_document > docs/tables.md`.

## Asking

```console
$ matokit query "select * from success_rate_daily where environment = 'production' order by event_date desc limit 7"
$ matokit query "select * from project_day" --json
```

`matokit query` runs one select (DuckDB's SQL) on the published snapshot: read-only, never in the way of a refresh,
the same numbers for everybody until the next one is published. It holds the tables of `marts`; bare names are enough.
Tables of `staging` and `raw` are in the warehouse only: `matokit query --warehouse "select … from
staging.installer_events"` waits for its lock. The macros `rate(successes, events)`, `wilson_low(successes, events)`
and `wilson_high(successes, events)` are at hand in both. `manifest`, one row, is about the snapshot itself:
`generation`, `published_at` (UTC), `project_zone`, `watermark` (UTC), `code_version`, `rule_version`. Five questions
with their answers: [cookbook.md](cookbook.md).

## Rules that every answer must obey

- **Filter the environment.** Almost every question means `environment = 'production'`. Rows of all environments stand
  side by side, tests and CI too; numeric codes (`AUTOINSTALLS`) are `unknown`, since they do not say.
- **A sum is a row.** Where a component or an architecture may be `all`, that row is the sum and the others are its
  parts: filter one or the other, never both.
- **Adding up.** A column that *adds up* may be summed over any rows. One that *does not* may not: a machine seen on
  two days is one machine. A *ratio* is computed anew from its counts, `rate(sum(successes), sum(events))`, never
  averaged. Distinct machines of 1, 7, 30 or 90 days are in tables with `window_days`, of a week in those with
  `week_start`, of the 30 days that end with a month in those with `month`.
- **Null is not 0.** A rate without events is null. A day without a row had no such event; from when to when anything
  is known is said by `project_day`, how complete a day is by `extraction_days`.
- **Days** (`event_date`, `first_date`, …) are days of the project's time zone, with 23 or 25 hours when clocks
  change; `site_date` is a day of the site's own zone. Weeks begin on Monday. Instants (type timestamptz) are UTC. The
  running day is in the daily tables and is incomplete; `event_date <= (select last_complete_day from project_day)`
  leaves it out.
- **Web tables** (`web_…`) hold a site's own reports by day, week and month of the site's zone, as Matomo counts them:
  filter one `period`, or everything is counted three times. What a period may lack is said by `web_periods`; a column
  with visitors is never summed. They are no part of the installer's figures.
- **Windows** end at the last complete day of all sources (`last_date`), whatever today is. `window_days` is 1, 7, 30
  or 90: filter one.
- **What is counted.** `events` are counted events: successes and failures of components. Tests, markers of runs and
  unknown outcomes are left out; `data_quality_daily` says how many and why. `installations`: per machine and day the
  run starts, at least one. `machines`: estimated from visitor, system and architecture. `units`: the first try of a
  machine at a component in the period; further tries after a failure are no units, so compare units.
- **Certainty.** Value 0 can be read in two ways; `uncertain_share` bounds the error of a rate.
- **Few events.** Beside a rate stands its 95 % Wilson interval (`success_rate_low`, `success_rate_high`); a
  difference within it means nothing yet.
- **Commits** are the head of the main branch at event time, not the version of the script that ran: hints, no proof.
  Order them by `first_seen`, never by name.
- **Error types** come from word lists run over output: "download" anywhere means network, "space" anywhere means
  disk, so network is over-counted; `already_exists` is often harmless.
- **Durations** are whole seconds of wall clock and may include waiting for a person; only successes carry them.
- **Who is missing.** Users who declined, and machines without a network: failures of the network are
  under-represented most of all.
"""
_LAYERS = {
    "marts": "Published with every snapshot; what reports, widgets and `matokit query` read.",
    "staging": "In the warehouse only. What marts are made of; ask it what no mart answers.",
}
_ADDS = {"additive": "adds up", "not_additive": "does not", "ratio": "ratio", None: ""}
_PARTS = {
    "day": "for each touched day",
    "week": "for each touched week",
    "month": "for each complete month that a touched day reaches",
    "commit": "for each commit with new events",
    "web_period": "for each period of which new reports were landed",
}


def tables_document(root: Path | None = None) -> str:
    """The whole document; `root` is the folder of sql/."""
    models = load_models(root or resources.path("sql"))
    parts = [_HEAD]
    for layer, words in _LAYERS.items():
        chosen = [model for name, model in models.items() if name.startswith(f"{layer}.")]
        parts.append(f"## {layer}\n\n{words}\n\n{_contents(chosen)}")
        parts += [_section(model) for model in chosen]
    return "\n".join(parts)


def _contents(models: Iterable[Model]) -> str:
    rows = [
        f"| [{_short(m)}](#{_anchor(m)}) | {_cell(m.file.grain)} | {_cell(_first_sentence(m.file))} |" for m in models
    ]
    return "\n".join(["| table | one row | what |", "|---|---|---|", *rows]) + "\n"


def _section(model: Model) -> str:
    file = model.file
    reads = ", ".join(f"`{table}`" for table in file.reads)
    lines = [
        f"### {model.name}\n",
        f"{_plain(file.description)}\n",
        f"One row: {_plain(file.grain)}. {_made(file)}{f' Reads {reads}.' if reads else ''}\n",
        "| column | type | null | adds up | what |",
        "|---|---|---|---|---|",
        *(_column(column) for column in file.columns),
    ]
    checks = [*_checks(model)]
    return "\n".join([*lines, "", *checks, ""]) if checks else "\n".join([*lines, ""])


def _column(column: Column) -> str:
    name = f"**`{column.name}`**" if column.key else f"`{column.name}`"
    allowed = f" One of {', '.join(f'`{value}`' for value in column.values)}." if column.values else ""
    null = "may be" if column.nullable else "never"
    what = _cell(f"{_plain(column.description)}{_between(column)}{allowed}")
    return f"| {name} | {column.type} | {null} | {_ADDS[column.additivity]} | {what} |"


def _between(column: Column) -> str:
    if column.range is None:
        return ""
    low, high = column.range
    if low is not None and high is not None:
        return f" From {low:g} to {high:g}."
    if low is not None:
        return f" At least {low:g}." if low else ""  # counts are never negative anyway
    return f" At most {high:g}."


def _made(file: ModelFile) -> str:
    if file.materialisation == "view":
        return "A view."
    step = " and a step in Python" if file.step else ""
    if file.materialisation == "incremental":
        return f"Derived anew {_PARTS[file.by]}{step}."
    window = f", when one of the last {file.window_days} complete days is reached" if file.window_days else ""
    return f"Derived as a whole{step}{window}."


def _checks(model: Model) -> Iterator[str]:
    """One line a check of checks.sql; those from model.yaml are said by the columns."""
    found = written_checks(model)
    if found:
        yield "Checked beside keys (bold), null-ness, ranges and values:\n"
    for check in found:
        yield f"- `{check.name}`{' (warns)' if check.severity == 'warn' else ''}: {check.sentence}."


def _first_sentence(file: ModelFile) -> str:
    return re.split(r"(?<=[.;:]) ", _plain(file.description), maxsplit=1)[0].rstrip(".;:")


def _short(model: Model) -> str:
    return model.name.split(".", 1)[1]


def _anchor(model: Model) -> str:
    """As web sites of repositories make it of a heading."""
    return re.sub(r"[^a-z0-9_ -]", "", model.name.lower()).replace(" ", "-")


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".") + ("." if text.rstrip().endswith(".") else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(tables_document())
