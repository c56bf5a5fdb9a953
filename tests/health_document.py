"""docs/health-monitoring.md: what a person reads about health, made around what a real server answered.

Run by tests/integration/test_health_document.py; MATOKIT_WRITE_GOLDEN=1 writes the document anew. Belongs here: the
words, and putting fixed values in the place of those that change. Not here: the home that answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from matokit_pipelines.toolserver.health import asking, checks, freshness
from matokit_pipelines.toolserver.live import REFUSED_SECONDS

ADDRESS = "http://127.0.0.1:4000"
# (where, kind, what the predecessor did, what ours does, why)
DIFFERENCES: tuple[tuple[str, str, str, str, str], ...] = (
    ("health", "fix", "GET was promised and answered 404.", "GET and POST; GET takes both parameters from the query.",
     "Monitors send GET."),
    ("health", "fix", "Asked `API.getVersion`, which Matomo does not have, so that every real one was `unhealthy`.",
     "Asks `API.getMatomoVersion`.", "It is there, and view access is enough for it."),
    ("health", "fix", "Tested warn before fail, so that the cache could never fail.", "Fail is tested first.",
     "The thresholds were documented so."),
    ("health", "fix", "A call that failed counted as a lookup in the cache.", "It does not.",
     "An answer that never came about could not have lain ready."),
    ("health", "add", "No command.", "`matokit health` leaves with 4, not 3, where only `reports-cache` fails.",
     "A new server asked many different questions is no reason to roll back."),
    ("health", "fix", '`includeDetails: "false"` counted as true.', "True and false, also as text; else 400.",
     "Models send booleans as text."),
    ("health", "fix", "`tracking-queue` was made up: always 0 and `pass`.",
     "The real depth, age and number given up; without a value while tracking is off.", "A made-up 0 reads as proof."),
    ("health", "fix", "A failed check had `observedValue: 0`.", "It has none.", "Nothing was observed."),
    ("health", "add", "`rate-limit` was documented and not there.",
     "It is there. A Matomo that tells of no limit passes (documented: warn).",
     "Nearly no Matomo tells of one, and would be degraded for good."),
    ("health", "add", "Nothing on Piwik PRO, on tables, on their age.", "`piwik-pro-api` and `warehouse`.",
     "Answers come from tables made of both."),
    ("health", "add", "Asked Matomo at every call.", "A finding holds 15 s, a refused token half an hour.",
     "Some twenty failed log-ins an hour lock an address out of Matomo."),
    ("diagnose", "fix", "Reached only when a method answered that Matomo does not have.",
     "Any well-formed answer of Matomo proves it, an error too.", "The base URL was blamed for everything."),
    ("diagnose", "fix", "`token-auth` had the detail `login`.", "`sites`: how many the token may view.",
     "No method tells a login to a token with view access; the number tells a token without sites from a bad one."),
    ("diagnose", "add", "Only Matomo.", "The same three steps for each Piwik PRO source.", "Both are read."),
)  # fmt: skip


def fixed(value: Any) -> Any:
    """An answer with fixed values in place of those that change from run to run."""
    text = json.dumps(value)
    text = re.sub(r"responded in \d+ms", "responded in 45ms", text)
    text = re.sub(r'("observedValue": )\d+(, "observedUnit": "ms")', r"\g<1>45\2", text)
    return json.loads(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:4000", text))


def shown(value: Any, rows: int = 2) -> str:
    """JSON for the page; of a list of tables the first `rows`."""
    found = fixed(value)
    left = 0
    for check in found.get("checks", []) if isinstance(found, dict) else []:
        if "tables" in check:
            left = len(check["tables"]) - rows
            check["tables"] = check["tables"][:rows]
    said = json.dumps(found, indent=1, ensure_ascii=False)
    more = "\n\nHere the other tables are left out." if left > 0 else ""
    return f"```json\n{said}\n```{more}"


def document(seen: Mapping[str, Any]) -> str:
    """The page. `seen`: what was answered, by the names that the test gives."""
    return "\n".join(_parts(seen)).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _parts(seen: Mapping[str, Any]) -> list[str]:
    return [
        "# Health and monitoring",
        "",
        "How to see whether the tool server is up, ready and well: for load balancers, deployments, monitors and",
        "people. Every answer on this page is one of a real server on a made-up home, with fixed values in place of",
        "times of answering and ports; a test makes the page. `TOKEN` holds the token of the server.",
        "",
        "## Probes, without a token",
        "",
        "| address | answers | meaning |",
        "|---|---|---|",
        f"| `GET /healthz` | 200 `{seen['healthz']}` | the process is up; nothing else is asked |",
        f"| `GET /health` | 200 `{seen['health']}` | the same, under the predecessor's name |",
        f"| `GET /readyz` | 200 `{seen['readyz']}` | a snapshot of the tables is in service |",
        f"| `GET /readyz` | 503 `{seen['not ready']}` | no snapshot is in service yet, or none can be opened |",
        "",
        "They tell nothing else, ask no vendor, and are answered under any host name, so that a container can be",
        "probed by its address. Restart by `/healthz`; send traffic by `/readyz`.",
        "",
        "## `matokit health`",
        "",
        *_command(seen),
        "## The health tool",
        "",
        *_tool(seen),
        "## Why does it not work? The diagnosis",
        "",
        *_diagnosis(seen),
        "## Metrics",
        "",
        *_metrics(seen),
        "## Where health differs from the predecessor's",
        "",
        "| where | | predecessor | ours | why |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(one)} |" for one in DIFFERENCES),
    ]


def _command(seen: Mapping[str, Any]) -> list[str]:
    return [
        "Asks all of it and leaves with an exit code. Without a token it asks the two probes only.",
        "",
        "```text",
        f"$ export MATOKIT_TOOLSERVER_TOKEN=…; matokit health {ADDRESS}",
        seen["command, healthy"].rstrip(),
        "$ echo $?",
        "0",
        "```",
        "",
        "```text",
        f"$ matokit health {ADDRESS}",
        seen["command, degraded"].rstrip(),
        "$ echo $?",
        "4",
        "```",
        "",
        "| exit code | meaning | a deployment should |",
        "|---|---|---|",
        "| 0 | healthy | go on |",
        "| 4 | degraded: a check warns, for example the data are old; or of all checks only `reports-cache` fails | go "
        "on, and tell somebody |",
        "| 3 | unhealthy or not reached | stop, and roll back |",
        "| 2 | the command was misused, the named token variable is empty, or the server does not take the token | be "
        "corrected |",
        "",
        "A new server that is asked many different questions finds none of them in its cache, so `reports-cache`",
        "fails and the tool says `unhealthy`, as the thresholds below have it. That is no reason to roll back.",
        "",
        "`--wait 120` asks the probes every second until the server is ready, at most so long: put it behind the start",
        "of a new version. `--token-variable NAME` reads the token from another variable (or its `_FILE` form);",
        "`--json` prints the checks as an array.",
        "",
    ]


def _tool(seen: Mapping[str, Any]) -> list[str]:
    return [
        "`GetHealthStatus` answers by POST, as Opal and MCP clients call it, and by GET for monitors; always with",
        "status 200, so look at `status`: `unhealthy` when a check fails, `degraded` when one warns, else `healthy`.",
        "",
        "```sh",
        f'curl -s "{ADDRESS}/tools/get-health-status" -H "Authorization: Bearer $TOKEN"',
        "```",
        "",
        shown(seen["healthy"]),
        "",
        "| check | observed | warns | fails |",
        "|---|---|---|---|",
        "| `matomo-api` | ms | it answers, but left questions of tools unanswered within the last minute | "
        "Matomo does not answer, or refuses the token |",
        f"| `reports-cache` | % of lookups that found an answer | under {checks.LOW_HITS:.0f} % after more than "
        f"{checks.LOW_AFTER} lookups | under {checks.NO_HITS:.0f} % after more than {checks.NO_AFTER} |",
        f"| `tracking-queue` | hits that wait | the oldest waits {_words(checks.OLD_HIT)}, hits were given up, "
        f"or the last hit could not be kept | the oldest waits {_words(checks.TOO_OLD_HIT)}, or a hit of the last "
        f"{_words(checks.UNKEPT_FAILS)} could not be kept and none since (disk full) |",
        f"| `rate-limit` | requests left | {checks.LOW_LIMIT:.0%} of the limit or less are left | none is left |",
        "| `site-access`, with `includeDetails` | – | – | the token may not view the site |",
        "| `piwik-pro-api` | ms | – | Piwik PRO does not answer, refuses the credentials, or does not show the site |",
        "| `warehouse` | seconds that the events are old | events are older than `alerts.rules.data_stale.after_hours` "
        "(6 h), web reports older than twice `web_reports.every_minutes` and "
        f"{_words(freshness.SLACK)}; a pass failed; a window of the last {freshness.GAPS_OF.days} days does not add "
        "up; what was published last cannot be put in service | no snapshot is in service |",
        "",
        "A second Matomo or Piwik PRO has checks of its own, its name in brackets behind them. However often",
        f"monitors ask, a vendor is asked again after {asking.KEPT_SECONDS:.0f} s only, and waited for"
        f" {asking.PROBE_SECONDS:.0f} s at most; a",
        f"token that was refused is not sent again for {REFUSED_SECONDS / 60:.0f} min unless it was changed.",
        "",
        "`includeDetails` adds the access to the site and the age of every table:",
        "",
        "```sh",
        f'curl -s "{ADDRESS}/tools/get-health-status?includeDetails=true&siteId=1" -H "Authorization: Bearer $TOKEN"',
        "```",
        "",
        shown({"status": seen["details"]["status"], "checks": seen["details"]["checks"][-3:]}),
        "",
        "With old data:",
        "",
        shown({"status": seen["degraded"]["status"], "checks": seen["degraded"]["checks"][-1:]}),
        "",
        "When Matomo refuses the token:",
        "",
        shown({"status": seen["unhealthy"]["status"], "checks": seen["unhealthy"]["checks"][:1]}),
        "",
    ]


def _diagnosis(seen: Mapping[str, Any]) -> list[str]:
    return [
        "`DiagnoseMatomo` goes step by step and says what to do; a step that fails skips those behind it.",
        "",
        "```sh",
        f'curl -s {ADDRESS}/tools/diagnose-matomo -H "Authorization: Bearer $TOKEN" \\',
        '  -H "Content-Type: application/json" -d \'{"parameters": {}}\'',
        "```",
        "",
        shown(seen["diagnosis"]),
        "",
        "A token that Matomo refuses:",
        "",
        shown({"checks": seen["diagnosis, bad token"]["checks"][:3]}),
        "",
        "A good token whose user may view no site, which Matomo itself answers in nearly the same words:",
        "",
        shown({"checks": seen["diagnosis, no site"]["checks"][1:3]}),
        "",
    ]


def _metrics(seen: Mapping[str, Any]) -> list[str]:
    return [
        "`GET /metrics` (with a token) speaks Prometheus' text format:",
        "",
        "| name | kind | meaning |",
        "|---|---|---|",
        *(f"| `{name}` | {kind} | {text} |" for name, kind, text in families(seen["metrics"])),
        "",
        "What is not known has no sample: without a snapshot there is no generation, and nothing of the queue while",
        "tracking is off. While a hit waits, `matokit_tracking_queue_oldest_seconds` says how long the oldest one has.",
        "",
        "`GET /cache-statistics` (with a token) has the cache by feature:",
        "",
        shown(seen["cache"]),
        "",
        "Ready to use: [prometheus.yml](monitoring/prometheus.yml) scrapes a server,",
        "[prometheus-rules.yml](monitoring/prometheus-rules.yml) has rules on the thresholds above, and",
        "[grafana-dashboard.json](monitoring/grafana-dashboard.json) is a dashboard to import; a test holds each to",
        "what a server tells. A Prometheus 2.42 scraped a server under load with the first two, and every query of the",
        "dashboard was asked of it; the dashboard itself was not opened in a Grafana. What makes each alert fire is in",
        "[prometheus-rules-test.yml](monitoring/prometheus-rules-test.yml), for `promtool test rules`.",
        "",
        "The log has one line of JSON a request with its id, caller, tool, status and time, and never a body or a",
        "token.",
        "",
    ]


def families(text: str) -> list[tuple[str, str, str]]:
    """(name, kind, help) of each family in a scrape, but for times of creation."""
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    return [(name, kind, helps[name].replace("|", "\\|")) for name, kind in kinds if not name.endswith("_created")]


def _words(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
