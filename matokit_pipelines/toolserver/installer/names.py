"""Names that a caller gives, found among those that were ever counted; an unknown one is refused with near ones.

Not here: which names there are (ground.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from matokit_pipelines.alerts.content.wording import name as shown
from matokit_pipelines.toolserver.installer.ground import Ground
from matokit_pipelines.toolserver.problems import Problem, refused

NEAR, LISTED = 3, 20
_ARCHITECTURES = {
    "apple silicon": "arm64", "apple_silicon": "arm64", "m1": "arm64", "m2": "arm64", "aarch64": "arm64",
    "arm": "arm64", "intel": "x86_64", "amd64": "x86_64", "x64": "x86_64", "x86-64": "x86_64", "i386": "x86",
    "i686": "x86",
}  # fmt: skip
_FAMILIES = {"mac": "macOS", "osx": "macOS", "os x": "macOS", "win": "Windows"}


def component_of(wanted: str | None, ground: Ground) -> str | None:
    """The component that is meant; None for all of them."""
    if wanted is None or wanted.strip().lower() == "all":
        return None
    known = ground.names.get("component", ())
    found = _same(wanted, known) or _same(wanted.strip().replace(" ", "_").replace("-", "_"), known)
    if found is None:
        raise unknown("component", wanted, known)
    return found


def architecture_of(wanted: str | None, ground: Ground) -> str | None:
    """The architecture that is meant, also by the names that people use."""
    if wanted is None or wanted.strip().lower() == "all":
        return None
    known = ground.names.get("architecture", ())
    found = _same(_ARCHITECTURES.get(wanted.strip().lower(), wanted), known)
    if found is None:
        raise unknown("architecture", wanted, known)
    return found


def system_of(wanted: str | None, ground: Ground) -> tuple[str | None, str | None]:
    """`(family, release)`: "macOS" is a family, "macOS 15.1" a release."""
    if wanted is None or wanted.strip().lower() == "all":
        return None, None
    families, releases = ground.names.get("os_family", ()), ground.names.get("os", ())
    if family := _same(_FAMILIES.get(wanted.strip().lower(), wanted), families):
        return family, None
    if release := _same(wanted, releases):
        return None, release
    raise unknown("os", wanted, list(dict.fromkeys([*families, *releases])))


def unknown(kind: str, wanted: str, known: Sequence[str]) -> Problem:
    """The refusal: the near ones first, then the others, not too many."""
    near = difflib.get_close_matches(wanted.strip().lower(), [name.lower() for name in known], n=NEAR, cutoff=0.5)
    close = [next(name for name in known if name.lower() == folded) for folded in near]
    meant = f"Did you mean {' or '.join(shown(name) for name in close)}? " if close else ""
    listed = ", ".join(shown(name) for name in known[:LISTED]) or "none yet"
    more = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
    said = shown(wanted)
    return refused(f'No event was ever counted of {kind} "{said}".', f"{meant}Known are {listed}{more}.")


def _same(wanted: str, known: Sequence[str]) -> str | None:
    """The name itself, else the one that differs by case only."""
    if wanted in known:
        return wanted
    folded = wanted.strip().lower()
    return next((name for name in known if name.lower() == folded), None)
