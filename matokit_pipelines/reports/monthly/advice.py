"""What is recommended of a version, in sentences with all the evidence: "consider" and "watch", never more.

Templates over the document (marking.py). Not here: the rule (deprecation.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from matokit_pipelines.reports.completeness import many
from matokit_pipelines.reports.monthly.shapes import Recommendation


def advice(row: int, found: Recommendation) -> str:
    """One sentence for the top of the page: what to consider, and the reasons in short."""
    at = f"deprecation.rows.{row}"
    reasons = []
    if found.is_failing:
        reasons.append(_failing(at))
    if found.is_unmaintained and found.support is not None:
        how = "in practice " if found.support.basis == "practice" else ""
        reasons.append(f"its vendor's support {how}ended on {{{at}.support.ended_on|day_of_year}}")
    share = f"{{{at}.months.{len(found.months) - 1}.share|percent}} of installations"
    return f"Consider ending support for {{{at}.major|text}}: {share}, and {' and '.join(reasons)}."


def recommendation(row: int, found: Recommendation) -> str:
    """All that is said of it where recommendations are listed."""
    at = f"deprecation.rows.{row}"
    machines = many(found.machines, "machine", "machines")
    affected = f"{{{at}.machines|count}} {machines} would be affected (estimate, of the last 30 days)."
    if found.kind == "consider":
        reasons = "; ".join(_reasons(at, found))
        return f"Consider ending support for {{{at}.major|text}}: {_use(at, found)}; {reasons}. {affected}"
    return f"Watch {{{at}.major|text}}: {_use(at, found)}, less each time. {affected}"


def _use(at: str, found: Recommendation) -> str:
    shares = ", ".join(f"{{{at}.months.{place}.share|percent}}" for place in range(len(found.months)))
    return f"{shares} of installations in the last three months ({{{at}.installations|count}} in all)"


def _failing(at: str) -> str:
    rates = f"{{{at}.rates.success_rate|percent}} against {{{at}.others.success_rate|percent}} elsewhere"
    return f"success {rates}, more than chance"


def _reasons(at: str, found: Recommendation) -> Iterator[str]:
    if found.is_failing:
        yield _failing(at)
    if found.is_unmaintained and found.support is not None:
        day = f"{{{at}.support.ended_on|day_of_year}}"
        source = f"{{{at}.support.source|text}}, as of {{{at}.support.as_of|day_of_year}}"
        note = f"; {{{at}.support.note|text}}" if found.support.note else ""
        if found.support.basis == "practice":
            yield (
                f"in practice without security updates from {day} on, when {{{at}.support.note|text}} "
                f"(the vendor publishes no dates; {source})"
            )
        else:
            yield f"support by its vendor ended on {day} ({source}{note})"
