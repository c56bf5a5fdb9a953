"""The tables of settings in docs/alerts.md, from the models; the sentences around them are written by hand.

Run `python -m matokit_pipelines.cli.alerts_document docs/alerts.md` to write them anew: what stands between
`<!-- settings: NAME -->` and the next blank line is replaced. Not here: what the settings do.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matokit_pipelines.cli.setting_up import toml_of

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_PLACE = re.compile(r"(?<=<!-- settings: )([a-z0-9_.]+)( -->\n)((?:\|.*\n)*)")
COMMON = ("severity", "when", "for", "keep_firing", "repeat", "destinations")


def tables() -> dict[str, str]:
    """Every table by the name of its place: `alerts`, `alerts.<section>`, `rule`, `guard`, `defaults`, each rule's
    id, and the sections of delivery."""
    from matokit_pipelines.alert_settings import AlertSettings, AllRules, GuardSettings, RuleSettings
    from matokit_pipelines.settings import SECTIONS

    found = {"alerts": _table(AlertSettings()), "rule": _table(RuleSettings()), "guard": _table(GuardSettings())}
    for name in ("business_hours", "quiet_hours", "provisional"):
        found[f"alerts.{name}"] = _table(getattr(AlertSettings(), name))
    found["defaults"] = _defaults(AllRules())
    for name, rule in AllRules().named():
        found[name] = _table(rule, without=frozenset(RuleSettings.model_fields))
    for name in ("recipients", "slack", "smtp", "links"):
        found[name] = _table(SECTIONS[name]())
    return found


def places(text: str) -> dict[str, str]:
    """The tables of a document by the name of their place."""
    return {match[1]: match[3] for match in _PLACE.finditer(text)}


def renewed(text: str, fresh: Mapping[str, str]) -> str:
    """`text` with its tables replaced. KeyError for a place that no table belongs to."""
    return _PLACE.sub(lambda match: match[1] + match[2] + fresh[match[1]], text)


def _table(section: BaseModel, without: frozenset[str] = frozenset()) -> str:
    rows = [
        f"| `{name}` | {_default(field, getattr(section, key))} | {field.description} |\n"
        for key, name, field in _keys(section)
        if key not in without
    ]
    return "".join(["| key | default | |\n", "|---|---|---|\n", *rows]) if rows else ""


def _defaults(rules: BaseModel) -> str:
    """One row a rule: what the keys that all rules have are by themselves."""
    from matokit_pipelines.alert_settings import GuardSettings

    heads = [*COMMON, *(f"guard.{key}" for key in GuardSettings.model_fields if key != "enabled")]
    lines = ["| rule | " + " | ".join(f"`{head}`" for head in heads) + " |\n", "|---" * (len(heads) + 1) + "|\n"]
    for rule, _, _ in _keys(rules):
        settings = getattr(rules, rule)
        values = {name: getattr(settings, key) for key, name, _ in _keys(settings)}
        values |= {f"guard.{key}": value for key, value in settings.guard}
        cells = [", ".join(value) if isinstance(value := values[head], tuple) else str(value) for head in heads]
        lines.append(f"| [`{rule}`](#{rule}) | " + " | ".join(cells) + " |\n")
    return "".join(lines)


def _keys(section: BaseModel) -> Iterator[tuple[str, str, FieldInfo]]:
    """(attribute, name in the file, field)."""
    for key, field in type(section).model_fields.items():
        yield key, field.alias or key, field


def _default(field: FieldInfo, value: object) -> str:
    """As it would stand in the file; sections have tables of their own."""
    return "–" if hasattr(value, "model_dump") else f"`{toml_of(value)}`"


def main(file: Path) -> None:
    """Write the tables of `file` anew."""
    file.write_text(renewed(file.read_text(encoding="utf-8"), tables()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
