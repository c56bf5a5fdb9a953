"""What a message says to look at first: what stands out and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from matokit_pipelines.alerts.content.evidence import Ci, Commit, Counts, Facts, Part, Parts
from matokit_pipelines.alerts.content.scopes import scopes_of
from matokit_pipelines.alerts.content.surroundings import changes, in_ci, look_first
from tests.alert_scenes import NEW, NOW, OLD, START, announcement, links


def part(name: str, now: tuple[int, int], other: tuple[int, int] = (100, 2), detail: str = "") -> Part:
    return Part(name, detail, Counts(*now), Counts(*other))


def facts(rule: str = "overall_success_rate", **more: Any) -> Facts:
    [scope] = scopes_of(announcement("firing", rule), links().alerts, links().zone)
    return Facts(scope, total=part("", (40, 20)), **more)


def hints(found: Facts) -> tuple[str, ...]:
    return look_first(found, links(), NOW)


def parts(*rows: Part) -> Parts:
    return Parts(rows, sum(1 for row in rows if row.now.failures))


def test_nothing_stands_out() -> None:
    some = parts(part("a", (20, 10)), part("b", (20, 10)))
    assert hints(facts(components=some, systems=some)) == ()


def test_one_component_one_system_one_error() -> None:
    found = facts(
        components=parts(part("a", (20, 19)), part("b", (20, 1))),
        systems=parts(part("macOS 15.1", (20, 18), detail="arm64"), part("macOS 14", (20, 2), detail="arm64")),
        errors=parts(part("network", (20, 20))),
    )
    assert hints(found) == (
        "19 of 20 failures are in a; 1 other failed too.",
        "18 of 20 failures are on macOS 15.1 arm64, which ran 20 of 40 events.",
        "All 20 failures report network.",
    )


def test_a_system_on_which_nearly_all_runs_is_not_blamed() -> None:
    assert hints(facts(systems=parts(part("macOS 15.1", (39, 19)), part("macOS 14", (1, 1))))) == ()


def test_errors_that_nobody_reported_are_no_hint() -> None:
    assert hints(facts(errors=parts(part("", (20, 20))))) == ()


def test_many_components_alike_share_a_cause() -> None:
    alike = parts(*(part(name, (10, 5)) for name in "abcde"))
    [hint] = hints(facts(components=alike))
    assert hint.startswith("5 components fail, none of them most: look at what all share")
    usual = parts(*(part(name, (10, 5), (100, 50)) for name in "abcde"))
    assert hints(facts(components=usual)) == ()


@pytest.mark.parametrize(
    ("seen", "counts", "said"),
    [
        (-30, (9, 7), True),
        (30, (9, 7), False),  # after the start: it cannot be the cause
        (-30, (9, 2), False),  # it does well itself
        (-30, (2, 2), False),  # too few
    ],
)
def test_a_new_commit_that_fails_itself(seen: int, counts: tuple[int, int], said: bool) -> None:
    commit = Commit(NEW, START + timedelta(minutes=seen), OLD, Counts(*counts))
    found = hints(facts(commits=(commit,)))
    assert bool(found) == said
    assert not said or found[0] == f"Commit {NEW} is new, first seen 01:00 CET: 7 of 9 events failed (78 %) with it."


@pytest.mark.parametrize(
    ("now", "commits", "hint", "line"),
    [
        ((40, 0), (0, 0), "but has not run the new commit.", "CI green, production failing."),
        ((40, 0), (1, 0), "but ran the new commit only once.", "CI green, production failing."),
        ((40, 1), (9, 0), "with the new commit too: look at machines", "CI green, production failing."),
        ((40, 1), (4, 2), "CI fails at a with the new commit as well: 2 of 4 (50 %).", "of the commits above."),
        ((40, 20), (0, 0), "CI fails at a as well: look at the script", "in CI in 7 days."),
        ((4, 0), (0, 0), None, "in CI in 7 days."),
        ((0, 0), (0, 0), None, "CI did not run it in 7 days."),
        ((40, 4), (0, 0), None, "in CI in 7 days."),
    ],
)
def test_ci(now: tuple[int, int], commits: tuple[int, int], hint: str | None, line: str) -> None:
    commit = Commit(NEW, START, OLD, Counts(9, 1))
    found = facts(
        components=parts(part("a", (20, 10)), part("b", (20, 10), (100, 40))), commits=(commit,),
        ci=(Ci("b", Counts(50, 25), Counts(0, 0)), Ci("a", Counts(*now), Counts(*commits))),
    )  # fmt: skip
    said = hints(found)
    assert (not said) if hint is None else (hint in said[0])
    assert in_ci(found)[1].endswith(line)


def test_no_commit_is_said() -> None:
    [line] = changes(facts(), links(), NOW)
    assert line.text == "No commit was first seen in the 48 hours before it began, or since."


def test_a_commit_leads_to_its_changes_and_one_without_predecessor_to_itself() -> None:
    first = Commit(OLD, START - timedelta(hours=1), None, Counts(0, 0))
    lines = changes(facts(commits=(replace(first, sha=NEW, previous=OLD), first)), links(), NOW)
    assert [line.url for line in lines] == [
        f"https://git.example.org/install-scripts/compare/{OLD}...{NEW}",
        f"https://git.example.org/install-scripts/commit/{OLD}",
    ]
    assert lines[0].text == f"Commit {NEW} first seen 00:30 CET, 1 h before the start"
