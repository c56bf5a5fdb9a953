"""Alerts of every kind over a small made-up site, for tests of messages: a warehouse, and announcements about it.

Nine days of a dozen components; on the last night a commit breaks python_install, mostly on one system. Rows are put
in as they stand in `staging.installer_events`, and verdicts carry counts read back from them. Also writes all messages
as files: `python -m tests.alert_scenes FOLDER`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, get_args
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.alert_settings import AlertSettings, AllRules
from matokit_pipelines.alerts.announcements import Announcement, Episode, Kind
from matokit_pipelines.alerts.content.composing import compose
from matokit_pipelines.alerts.content.evidence import Evidence, gather
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.delivery.mails import inlined
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.warehouse.connection import in_memory

ZONE = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 11, 20, 2, 10, tzinfo=UTC)  # 03:10 in Copenhagen, a Friday
START = NOW - timedelta(hours=1, minutes=40)
COMPLETE = NOW - timedelta(minutes=10)
OLD, NEW = "a1b2c3d", "f00dfee"
COMPONENTS = (
    "python_install", "python_first_year_setup", "vscode_install", "vscode_extensions_install", "homebrew_install",
    "latex_install",
)  # fmt: skip
SYSTEMS = (("macOS 15.1", "arm64"), ("macOS 14.6", "arm64"), ("macOS 14.6", "x86_64"), ("Ubuntu 24.04", "x86_64"))
RULES = tuple(AllRules.model_fields)
KINDS: tuple[Kind, ...] = get_args(Kind)
HOSTILE = (
    "<!channel>", "</script><script>alert(1)</script>", "=1+1", "a\r\nBcc: x@example.org", "x" * 10_000,
    "\u202egnp.exe\u202c",
    "*bold* _it_ ~no~ `code` [a](https://example.org)", "<https://example.org|click>", "\x00\x1b[31m",
    "{{ 7*7 }}", "&amp;", " ", "a\u2028b", "@here", "<@U123>", "|", '"><img src=x onerror=alert(1)>',
)  # fmt: skip


_COLUMNS: dict[str, Any] = {
    "event_ts": pl.Datetime("us", "UTC"), "environment": pl.String, "component": pl.String, "outcome": pl.String,
    "error_type": pl.String, "os_release": pl.String, "architecture": pl.String, "commit_sha": pl.String,
    "machine_key": pl.String,
}  # fmt: skip


def links(**more: Any) -> Links:
    """Settings with every address."""
    known = {
        "public_url": "https://matokit.example.org", "runbook_url": "https://wiki.example.org/runbook",
        "repository_url": "https://git.example.org/install-scripts",
    }  # fmt: skip
    return Links(zone=ZONE, alerts=more.pop("alerts", AlertSettings()), **(known | more))


def warehouse(rows: list[tuple[Any, ...]] | None = None) -> duckdb.DuckDBPyConnection:
    """A warehouse in memory that holds `rows` (see `site`) or the made-up site."""
    con = in_memory(NOW)
    con.execute((resources.path("sql") / "macros.sql").read_text(encoding="utf-8"))
    con.execute("create schema if not exists staging")
    con.register("given", pl.DataFrame(site() if rows is None else rows, schema=_COLUMNS, orient="row").to_arrow())
    con.execute(
        """
        create table staging.installer_events as
        select given.*, cast(timezone('Europe/Copenhagen', event_ts) as date) as event_date, 'macOS' as os_family,
               true as counted, cast(null as varchar) as left_out_reason, 'installers' as source, '1' as site_id,
               cast(row_number() over () as varchar) as event_id, 'certain' as confidence, false as is_run_start
        from given
        """
    )
    con.unregister("given")
    for table in ("events_daily", "machine_days"):
        query = (resources.path("sql") / "staging" / table / "query.sql").read_text(encoding="utf-8")
        con.execute(
            f"create table staging.{table} as {query}", {"first_day": date(2020, 1, 1), "last_day": date(2030, 1, 1)}
        )
    con.execute(
        "insert into ledger.sources (source, kind, site_id, zone, url, watermark, last_error) values "
        "('installers', 'matomo', '1', 'Europe/Copenhagen', 'https://matomo.example.org', ?, null)",
        [COMPLETE],
    )
    return con


def site() -> list[tuple[Any, ...]]:
    """(time, environment, component, outcome, error type, OS release, architecture, commit, machine)."""
    random, rows = Random(5), []
    first = NOW - timedelta(days=9)
    for step in range(9 * 24 * 4):
        at = first + timedelta(minutes=15 * step + random.random() * 12)
        if random.random() < (0.35 if 5 <= at.hour <= 17 else 0.75):
            continue
        release, architecture = random.choices(SYSTEMS, (5, 3, 1, 2))[0]
        commit = NEW if at >= START - timedelta(minutes=35) else OLD
        machine = f"m{step}"
        for place, component in enumerate(COMPONENTS[: random.randint(2, 6)]):
            broken = commit == NEW and component in COMPONENTS[:2] and release == "macOS 15.1"
            bad = random.random() < (0.95 if broken else 0.02)
            error = random.choice(("download_failed", "download_failed", "timeout")) if bad else None
            ts = at + timedelta(seconds=20 * place)
            rows.append((ts, "production", component, "failure" if bad else "success", error, release, architecture,
                         commit, machine))  # fmt: skip
    for step in range(200):
        at = first + timedelta(hours=step)
        rows.append((at, "ci", COMPONENTS[step % 6], "success", None, "Ubuntu 24.04", "x86_64", OLD, f"ci{step}"))
    for step in range(40):  # the night's burst
        at = START - timedelta(minutes=30) + timedelta(minutes=3 * step)
        if at >= COMPLETE:
            break
        release, architecture = SYSTEMS[0] if step % 3 else SYSTEMS[step % 4]
        bad = release == "macOS 15.1"
        for component in COMPONENTS[:2]:
            outcome, error = ("failure", "download_failed") if bad else ("success", None)
            rows.append((at, "production", component, outcome, error, release, architecture, NEW, f"b{step}"))
    return rows


_SUBJECTS = {
    "new_failure_pattern": "python_install", "arch_gap": "arm64", "commit_regression": NEW,
    "component_failure_rate": "python_install", "new_component_failure": "python_first_year_setup",
    "success_drop_7d": "python_install", "slow_regression": "latex_install",
}  # fmt: skip
_INPUTS: dict[str, dict[str, Any]] = {
    "overall_success_rate": {
        "n": 64, "failures": 38, "machines_failing": 17, "units": 60, "unit_failures": 36, "baseline_units": 1430,
        "baseline_failures": 31, "expected_share": 0.0217, "chance": 3.1e-9, "sure_below": 0.999,
    },
    "new_failure_pattern": {
        "n": 25, "failures": 13, "before_n": 61, "before_failures": 1, "machines_failing": 12, "units": 24,
        "unit_failures": 12, "baseline_units": 58, "baseline_failures": 1, "expected_share": 0.017, "chance": 5.2e-5,
    },
    "high_volume_failures": {
        "n": 41, "failures": 26, "machines_failing": 13, "units": 40, "unit_failures": 25, "baseline_units": 1430,
        "baseline_failures": 31, "expected_share": 0.022, "chance": 2e-7,
    },
    "arch_gap": {
        "n": 212, "failures": 48, "before_n": 95, "before_failures": 3, "machines_failing": 21, "units": 200,
        "unit_failures": 44, "baseline_units": 92, "baseline_failures": 3, "expected_share": 0.03, "chance": 0.0008,
    },
    "commit_regression": {
        "n": 71, "failures": 40, "before_n": 1610, "before_failures": 34, "machines_failing": 18, "units": 70,
        "unit_failures": 39, "baseline_units": 1500, "baseline_failures": 30, "expected_share": 0.02, "chance": 1e-6,
        "previous": OLD,
    },
    "component_failure_rate": {
        "n": 52, "failures": 14, "machines_failing": 13, "units": 50, "unit_failures": 13, "baseline_units": 610,
        "baseline_failures": 15, "expected_share": 0.0246, "chance": 0.004, "share_at_least": 0.18,
    },
    "new_component_failure": {
        "n": 44, "failures": 12, "before_n": 320, "before_failures": 0, "machines_failing": 12, "units": 44,
        "unit_failures": 12, "baseline_units": 300, "baseline_failures": 0, "expected_share": 0.001, "chance": 2e-5,
    },
    "success_drop_7d": {
        "n": 52, "failures": 14, "before_n": 402, "before_failures": 9, "machines_failing": 13, "units": 50,
        "unit_failures": 13, "baseline_units": 390, "baseline_failures": 9, "expected_share": 0.023, "chance": 0.0004,
    },
    "slow_regression": {
        "n": 31, "failures": 9, "machines_failing": 9, "baseline_units": 190, "baseline_failures": 6,
        "began_at": (NOW - timedelta(days=3)).isoformat(), "evidence": 6.3, "threshold": 5.1,
    },
    "no_events": {"n": 0, "expected": 41.2, "chance": 2e-11, "since": (NOW - timedelta(hours=5)).isoformat()},
    "data_stale": {"age_hours": 8.33, "watermark": (NOW - timedelta(hours=8, minutes=20)).isoformat(), "guard": "off"},
}  # fmt: skip


def verdict(
    rule: str, subject: str | None = None, *, at: datetime = COMPLETE, raw: bool = True, **inputs: Any
) -> Verdict:
    """A verdict of `rule` that holds, with the numbers of this night."""
    known = {"guard": "met"} | _INPUTS[rule] | inputs
    return Verdict(rule, subject or _SUBJECTS.get(rule, ALL), "production", at, "ok", raw, raw, known)


def episode(rule: str, subject: str | None = None, **more: Any) -> Episode:
    """An episode that goes on, with its verdicts."""
    inputs = more.pop("inputs", {})
    found = verdict(rule, subject, **inputs)
    began = {"began_at": NOW - timedelta(days=3)} if rule == "slow_regression" else {}
    severity = getattr(AllRules(), rule).severity
    plain = Episode(rule, found.subject, "production", 1, severity, START, NOW, found, found, found, **began)
    return replace(plain, **more)


def over(rule: str, reason: Any = "recovered", **more: Any) -> Episode:
    """One that ended, with good figures at its end."""
    good = verdict(rule, raw=False, **({} if rule in ("no_events", "data_stale") else {"n": 40, "failures": 1}))
    return episode(rule, **{"last": good, "ended_at": COMPLETE, "end_reason": reason} | more)


def announcement(kind: Kind, rule: str, **more: Any) -> Announcement:
    """An announcement of each kind about one rule."""
    ended = kind in ("resolved", "past")
    episodes = more.pop("episodes", None) or ((over(rule) if ended else episode(rule)),)
    if kind == "digest":
        more.setdefault("digest", "warnings")
    return Announcement(kind, tuple(episodes), NOW, COMPLETE, k=1 if kind == "reminder" else 0, **more)


def night() -> list[tuple[str, Announcement]]:
    """(name, announcement): every rule while it fires, every other kind, and what stands out."""
    found = [(f"firing-{rule}", announcement("firing", rule)) for rule in RULES]
    found += [(f"{kind}-overall", announcement(kind, "overall_success_rate")) for kind in KINDS if kind != "digest"]
    many = tuple(episode("new_failure_pattern", name) for name in COMPONENTS)
    flood = tuple(episode("new_failure_pattern", f"component_{place}") for place in range(37))
    off = {"guard": "off", "chance": None}
    warnings = (
        episode("arch_gap"), over("commit_regression"), episode("slow_regression"),
        episode("slow_regression", "homebrew_install"), over("arch_gap", "no_longer_measurable", subject="x86_64"),
    )  # fmt: skip
    health = (
        episode("component_failure_rate"), episode("success_drop_7d"), episode("new_component_failure"),
        over("component_failure_rate", subject="latex_install"),
    )  # fmt: skip
    one = {
        "firing-several": ("firing", "new_failure_pattern", many),
        "firing-flood": ("firing", "new_failure_pattern", flood),
        "firing-guard-off": ("firing", "overall_success_rate", (episode("overall_success_rate", inputs=off),)),
        "firing-late": ("firing", "overall_success_rate", (episode("overall_success_rate", is_late=True),)),
        "firing-provisional": (
            "firing", "high_volume_failures", (episode("high_volume_failures", is_provisional=True),),
        ),
        "resolved-unmeasurable": (
            "resolved", "new_failure_pattern", (over("new_failure_pattern", "no_longer_measurable"),),
        ),
        "resolved-unconfirmed": (
            "resolved", "high_volume_failures", (over("high_volume_failures", "not_confirmed", is_provisional=True),),
        ),
        "resolved-corrected": ("resolved", "new_failure_pattern", (over("new_failure_pattern", corrected=True),)),
        "past-late": ("past", "new_failure_pattern", (over("new_failure_pattern", is_late=True),)),
        "joined-two": ("joined", "new_failure_pattern", many[:2]),
        "digest-warnings": ("digest", "arch_gap", warnings),
    }  # fmt: skip
    found += [(name, announcement(kind, rule, episodes=told)) for name, (kind, rule, told) in one.items()]
    explained = ("component_failure_rate", "success_drop_7d")
    found.append(("firing-explains", announcement("firing", "commit_regression", explains=explained)))
    found.append(("digest-health", announcement("digest", RULES[5], episodes=health, digest="health")))
    return found


@lru_cache(maxsize=1)
def evidence_of_night() -> dict[str, Evidence]:
    """What surrounds each of them."""
    silence = [row for row in site() if row[0] < NOW - timedelta(hours=5)]
    con, silent = warehouse(), warehouse(silence)
    try:
        return {name: gather(silent if "no_events" in name else con, one, links()) for name, one in night()}
    finally:
        con.close()
        silent.close()


def write_all(folder: Path) -> list[Path]:
    """Each message as .html (as it is sent, pictures inside), .txt and .json (Slack's blocks). Gives the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for name, one in night():
        message = compose(one, evidence_of_night()[name], links())
        pages.append(folder / f"{name}.html")
        pages[-1].write_text(shown(message), encoding="utf-8")
        (folder / f"{name}.txt").write_text(f"Subject: {message.subject}\n\n{message.text}", encoding="utf-8")
        blocks = json.dumps(message.blocks, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(blocks, encoding="utf-8")
    return pages


def shown(message: Message) -> str:
    """The HTML as a mail reader shows it: styles in the elements, pictures in place."""
    import base64

    html = inlined(message.html or "")
    for image in message.images:
        data = base64.b64encode(image.png).decode("ascii")
        html = html.replace(f"cid:{image.name}", f"data:image/png;base64,{data}")
    return html


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
