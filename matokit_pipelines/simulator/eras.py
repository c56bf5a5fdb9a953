"""Small shares of all the other forms in which installer events were really sent, and of foreign traffic.

Belongs here: a few dozen rows a form, each on one to three days of the first weeks, with their meaning. Does not
belong here: the main stream (sending). Every era has machines and commits of its own, so that none lends another
evidence about the value 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from matokit_pipelines.simulator.sending import ERROR_TYPES, SCHEMA, visitors

Row = dict[str, Any]
_ENVIRONMENT = {
    "Installer": "production",
    "Installer_PROD": "production",
    "Installer_TEST": "test",
    "Installer_DEV": "development",
    "Installer_CI": "ci",
    "Installer_STAGING": "staging",
}
_CODES = {
    1: (None, "started"),
    10: ("python_install", "success"),
    11: ("python_install", "failure"),
    20: ("python_first_year_setup", "success"),
    21: ("python_first_year_setup", "failure"),
    30: ("vscode_install", "success"),
    31: ("vscode_install", "failure"),
    40: ("vscode_extensions_install", "success"),
    41: ("vscode_extensions_install", "failure"),
    99: (None, "finished"),
    5: (None, "unknown"),
    42: (None, "unknown"),
}
_RUN = (1, 10, 20, 30, 40, 99)


class Era:
    """Draws rows of one era: which machine, which commit, which value."""

    def __init__(self, rng: np.random.Generator, sha: str) -> None:
        self.rng = rng
        self.sha = sha

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return bool(self.rng.random() < share)

    def pick(self, *options: Any) -> Any:
        """One of the options, evenly."""
        return options[int(self.rng.integers(len(options)))]

    def row(self, category: str, name: str | None, value: float | None, outcome: str, form: str, /, **more: Any) -> Row:
        """A row in scope, sent by a Mac; `more` overrides any column."""
        made: Row = {
            "category": category,
            "action": "Event",
            "name": name,
            "value": value,
            "dimension1": "Darwin14.2.1",
            "dimension2": "arm64",
            "dimension3": self.sha,
            "url": None,
            "environment": _ENVIRONMENT.get(category.strip(), "unknown"),
            "component": None,
            "outcome": outcome,
            "form": form,
            "counted": outcome in ("success", "failure") and form not in ("marker", "test"),
            "error_type": None,
            "duration_s": None,
            "architecture": "arm64",
            "os_family": "macOS",
            "os_version": "14.2.1",
            "os_release": "macOS 14.2",
            "commit_sha": self.sha,
            "in_scope": True,
        }
        return made | more


def _first_version(era: Era) -> Iterator[Row]:
    """15 August, morning: value always 0 and without meaning, the script's version as dimension 3."""
    ends = {"Start": "started", "Success": "success", "Failed": "failure", "Cancelled": "cancelled"}
    thing = era.pick("Python_Installation", "VS_Code_Installation", "LaTeX_Installation")
    for end in ("Start", era.pick("Success", "Success", "Success", "Failed", "Cancelled")):
        category = era.pick("Installer", "Installer", "Installer_TEST")
        more = {"component": thing.lower(), "dimension3": era.pick("1.0.0", "1.0.1"), "commit_sha": None}
        yield era.row(category, f"{thing}_{end}", 0.0, ends[end], "first_version", **more)


def _debris(era: Era) -> Iterator[Row]:
    """15 August, evening: dimension 3 is whatever an HTTP answer began with."""
    ok = era.chance(0.9)
    name = era.pick("homebrew_install", "python_install", "latex_install", "system_check")
    debris = era.pick('{"messa', "Not Fou", '{\n  "me', "unknown", "", "test001", None)
    outcome = "success" if ok else "failure"
    yield era.row(
        "Installer", name, float(ok), outcome, "ambiguous", component=name, dimension3=debris, commit_sha=None
    )


def _readable(era: Era) -> Iterator[Row]:
    """18 August: names with blanks, letters of any case, enhanced and basic."""
    name = era.pick(
        "Python installation", "Visual Studio Code installation", "Python environment setup", "Pre-installation check"
    )
    component = name.lower().replace(" ", "_")
    category = era.pick("Installer", " installer ", "INSTALLER_PROD")
    about = {"component": component, "environment": "production"}
    if era.chance(0.1):
        error = era.pick("permission_error", "network_error", "already_exists", "missing_dependency")
        yield era.row(
            category,
            f"{name}_{error}",
            era.pick(0.0, 1.0),
            "failure",
            "enhanced",
            error_type=ERROR_TYPES[error],
            **about,
        )
    else:
        seconds = float(era.rng.integers(5, 180))
        yield era.row(category, name, seconds, "success", "enhanced", duration_s=seconds, **about)


def _environments(era: Era) -> Iterator[Row]:
    """20 August: development, staging and environments nobody listed."""
    category = era.pick("Installer_DEV", "Installer_STAGING", "Installer_UNKNOWN", "Installer_Lab")
    ok = era.chance(0.9)
    yield era.row(
        category, "python_install", float(ok), "success" if ok else "failure", "ambiguous", component="python_install"
    )


def _tests(era: Era) -> Iterator[Row]:
    """20 August: connection tests without dimensions, tests of the logging functions."""
    name = era.pick(
        "connection_test", "test_network", "example_component", "environment_test_CI", "component_install_timed"
    )
    nothing: Row = {"dimension1": None, "dimension2": None, "dimension3": None, "commit_sha": None}
    unknown: Row = {"architecture": "unknown", "os_family": "unknown", "os_version": None, "os_release": "unknown"}
    bare = nothing | unknown if name == "connection_test" else {}
    yield era.row("Installer_TEST", name, 1.0, "unknown", "test", component=name.lower(), **bare)


def _markers(era: Era) -> Iterator[Row]:
    """Markers of failure that carry value 1: the name decides."""
    stem, end, outcome = era.pick(
        ("python_packages_verification", "failure", "failure"),
        ("python_verification", "success", "success"),
        ("post_install_verification", "incomplete", "failure"),
        ("post_install_verification", "complete", "success"),
        ("orchestrator", "partial_failure", "partial"),
        ("orchestrator_homebrew", "start", "started"),
        ("overall_installation", "failure", "failure"),
    )
    yield era.row("Installer", f"{stem}_{end}", 1.0, outcome, "marker", component=stem)


def _windows(era: Era) -> Iterator[Row]:
    """26 August: Windows sends numeric codes, at first as `Installations`."""
    caption, version = era.pick(
        ("Windows 10.0.22631 (Microsoft Windows 11 Pro)", "10.0.22631"), ("Windows Microsoft Windows 11 Pro", "11")
    )
    about = {"dimension1": caption, "os_family": "Windows", "os_version": version, "os_release": "Windows 11"}
    about |= {"dimension2": "x64", "architecture": "x86_64"}
    category = era.pick("Installations", "AUTOINSTALLS")
    for code in _RUN if era.chance(0.9) else (1, 10, 99, 99):
        yield _code(era, category, "Log", code, float(code), about)


def _mac_codes(era: Era) -> Iterator[Row]:
    """26 August: macOS sends codes, for some minutes in the name and then in the value."""
    in_name = era.chance(0.3)
    for code in (*_RUN[:1], era.pick(10, 10, 11), 20, era.pick(30, 31), era.pick(40, 5), 99):
        name = f"Log_{code}" if in_name else "Log"
        yield _code(era, "AUTOINSTALLS", name, code, None if in_name else float(code), {})


def _code(era: Era, category: str, name: str, code: int, value: float | None, about: Row) -> Row:
    component, outcome = _CODES[code]
    return era.row(category, name, value, outcome, "code", component=component, **about)


def _odd_values(era: Era) -> Iterator[Row]:
    """Values missing, negative or fractional."""
    value, outcome, form = era.pick(
        (None, "unknown", "basic"),
        (-1.0, "unknown", "invalid"),
        (-30.0, "unknown", "invalid"),
        (37.5, "success", "enhanced"),
    )
    seconds = value if form == "enhanced" else None
    yield era.row("Installer", "vscode_install", value, outcome, form, component="vscode_install", duration_s=seconds)


def _web(era: Era) -> Iterator[Row]:
    """The public web site that shares the analytics site: page views, downloads, custom events."""
    foreign: Row = {
        "environment": "unknown",
        "counted": False,
        "form": None,
        "dimension1": None,
        "dimension2": None,
        "dimension3": None,
        "architecture": "unknown",
        "os_family": "unknown",
        "os_version": None,
        "os_release": "unknown",
        "commit_sha": None,
        "in_scope": False,
    }
    page = era.pick("https://installer.example.org/", "https://installer.example.org/python")
    yield era.row("", None, None, "unknown", "", **foreign | {"category": None, "action": None, "url": page})
    category, action, name = era.pick(
        ("Download python event", "Click", "download"),
        ("Automatic installation success event", "Click", None),
        ("Automatic installation error event", "Click", None),
    )
    yield era.row(category, name, None, "unknown", "", **foreign | {"action": action, "url": page})


_ERAS: tuple[Callable[[Era], Iterator[Row]], ...] = (
    _first_version,
    _debris,
    _readable,
    _environments,
    _tests,
    _markers,
    _windows,
    _mac_codes,
    _odd_values,
    _web,
)


def rows(start: datetime, days: int, zone: str, seed: int, first_machine: int, events_per_day: float) -> pl.DataFrame:
    """Rows of all eras, columns as `sending.SCHEMA`, unordered.

    start: UTC. first_machine: the first machine number not in use. Each era lasts one to three days of the first
    weeks and sends 6 to 40 batches, fewer where the volume is small.
    """
    rng = np.random.default_rng([seed, 7919])
    batches = int(min(40, max(6, events_per_day / 10)))
    span = max(1, min(21, days // 2))
    place = ZoneInfo(zone)
    midnight = (start.astimezone(place) + timedelta(days=1)).replace(hour=0, minute=0, second=0)
    made: list[Row] = []
    machine = first_machine
    for number, of_era in enumerate(_ERAS):
        # The letters keep these commits apart from each other and from those of the main stream in practice.
        era = Era(rng, f"e{number:x}a" + f"{int(rng.integers(16**4)):04x}")
        lasts = int(rng.integers(1, min(3, span) + 1))
        first = number * 2 % max(1, span - lasts + 1)
        for _ in range(batches):
            day = midnight + timedelta(days=first + int(rng.integers(lasts)), hours=float(rng.uniform(8, 18)))
            when = day.astimezone(UTC).replace(microsecond=0)
            for row in of_era(era):
                made.append(row | {"event_ts": when, "machine": machine})
                when += timedelta(seconds=int(rng.integers(5, 240)))
            machine += 1
    frame = pl.DataFrame(
        made, schema={name: kind for name, kind in SCHEMA.items() if name != "visitor_id"}, orient="row"
    )
    ids = visitors(frame["machine"].to_numpy(), seed)
    return frame.with_columns(visitor_id=pl.Series(ids, dtype=pl.String)).select(SCHEMA.keys())
