"""How the tool server differs from its predecessor, each difference once: what it did, what ours does, why.

The list is fixtures/opal_differences.toml; `python -m tests.opal_differences` writes it into docs/opal.md, and the
contract tests say of each recorded answer which of these differences it shows. Not here: the answers.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Difference:
    """One difference. `where`: the endpoint, or a group of them. fix: the predecessor was wrong; add: new."""

    name: str
    where: str
    kind: Literal["fix", "add"]
    before: str
    ours: str
    why: str


_READ = tomllib.loads((Path(__file__).parent / "fixtures" / "opal_differences.toml").read_text(encoding="utf-8"))
_READERS = [Difference(**entry) for entry in _READ["readers"]]
_OTHERS = [Difference(**entry) for entry in _READ["others"]]  # shown by the tests of what they are about
DIFFERENCES = {difference.name: difference for difference in _READERS}
DOCUMENT = Path(__file__).parents[1] / "docs" / "opal.md"
_PART = re.compile(r"(?<=<!-- differences -->\n).*?(?=<!-- /differences -->)", re.DOTALL)
_HEAD = """## Where the answers differ from the predecessor's

Names, addresses, parameters, fields and their types are the predecessor's, and so are the answers, but for what stands
here. *fix*: the predecessor was wrong. *add*: something more. Each line about the readers is shown by a test beside the
recorded answers of the predecessor, which are in `tests/fixtures/opal`; this part is made of the same list
(`tests/fixtures/opal_differences.toml`).

### The readers

"""
_TABLE = """\
| where | | predecessor | ours | why |
|---|---|---|---|---|
"""
_BETWEEN = """
### Everything else

"""
_DECIDED = """
### What was decided where the recordings say nothing

- **What may not be archived.** A figure that Matomo gives as zero, and that its log of visits does not confirm, is
  null, with a sentence in `note`; a sum over periods of which one is unknown is null as a whole. In a series that
  is one row. An empty list has no place for a note, so one that is not confirmed is a 503. The log is asked once
  for each run of neighbouring empty periods, at most thirty at a time; what is beyond stays unknown.
- **From tables or live.** Days, weeks and months of all visits come from the tables when each period asked for is
  there and is `final` or `provisional`. A range or a year comes from its days, when all of them are there.
  Everything else goes to Matomo. A row that the tables cut away could matter (only the first rows of a report are
  kept, `[web_reports] rows`): then the list is asked live too, and not before.
- **Part of a period is never the whole of it.** A provisional period that was last read before it was over, or that
  passes should have read again since (two in a row are missing), is asked live; when Matomo does not answer, the
  tables do, and `note` says up to when they were read.
- **A day that may not be archived, inside a longer period.** The figures of the week, month or range are given, and
  `note` names the day.
- **A report that a period lacks**, because Matomo refused it or a goal was listed only later, is asked live: what was
  not read is not nothing. `web_period_reports` says which reports were read.
- **A list over several periods** is one range for Matomo, which adds up all rows; periods of their own would be
  cut.
- **Entry pages over several periods** come from the tables with what began there. Views, time and exits are left out of
  a page on which in some period no visit began: Matomo's report of that period does not have it.
- **Sums of unique visitors** are named after what was summed. A range that is asked live has none: Matomo gives
  none.
- **An average without events** is left out of sums, where Matomo's own range may say 0.
- **Previous.** As many periods before, for a range as many days. When the span is not over, `note` says so.
  Of a list only the rows shown are looked up in the tables; one that may have been cut away before is null there.
- **Ecommerce switched off.** Orders of before stay what they were, with the note that it is off.
- **Abandoned carts** are listed only when asked for (`goalId: ecommerceAbandonedCart` or `goalType:
  ecommerce_cart`).
- **All three of category, action and name** are counted in days of the project; where the site's zone is another
  one, `days_in` names that of the project.
"""


def part() -> str:
    """The part of docs/opal.md between its two marks."""
    return _HEAD + _TABLE + _rows(_READERS) + _BETWEEN + _TABLE + _rows(_OTHERS) + _DECIDED


def _rows(differences: list[Difference]) -> str:
    return "".join(
        f"| {_cell(one.where)} | {one.kind} | {_cell(one.before)} | {_cell(one.ours)} | {_cell(one.why)} |\n"
        for one in differences
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def part_in_document() -> str:
    """What docs/opal.md says now."""
    found = _PART.search(DOCUMENT.read_text(encoding="utf-8"))
    return found[0] if found else ""


if __name__ == "__main__":
    DOCUMENT.write_text(_PART.sub(lambda _: part(), DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
