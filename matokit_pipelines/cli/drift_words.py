"""What `status` says of contract drift: how much of each kind came lately, with examples.

Not here: finding it (sql/marts/contract_drift), all of it (`lint-events --landed`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matokit_pipelines.cli.frame import counted, shortened

if TYPE_CHECKING:
    from matokit_pipelines.warehouse.snapshots import Snapshot

MOST_EXAMPLES = 3
_WORDS = {
    "unknown_category": ("unlisted category", "unlisted categories"),
    "new_form": ("new form", None),
    "unknown_os": ("unknown operating system", None),
    "unknown_code": ("unlisted code", None),
    "invalid_value": ("impossible value", None),
    "ambiguous_share": ("source with many events that could be read in two ways", "sources with many such events"),
    "broken_name": ("name that breaks the convention", "names that break the convention"),
}
_TABLE = "select 1 from information_schema.tables where table_schema = 'marts' and table_name = 'contract_drift'"
_RECENT = """
select kind, finding from contract_drift where is_recent and kind <> 'old_name'
order by kind, events desc, source, reason, finding
"""


def lines(snapshot: Snapshot) -> list[str]:
    """Nothing when nothing came, or when the snapshot was published before there was such a table."""
    if not snapshot.rows(_TABLE):
        return []
    found: dict[str, list[str]] = {}
    for row in snapshot.rows(_RECENT):
        found.setdefault(str(row["kind"]), []).append(shortened(str(row["finding"])))
    if not found:
        return []
    told = [_told(kind, texts) for kind, texts in found.items()]
    return ["Contract drift of the last 7 days; `matokit lint-events --landed` says more:", *told]


def _told(kind: str, texts: list[str]) -> str:
    one, many = _WORDS.get(kind, (kind, None))
    texts = sorted(set(texts), key=texts.index)
    more = ", …" if len(texts) > MOST_EXAMPLES else ""
    return f"  {counted(len(texts), one, many)}: {', '.join(texts[:MOST_EXAMPLES])}{more}"
