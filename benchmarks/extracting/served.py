"""The server that all contestants of benchmarks/extract.py read from, in a process of its own.

A simulated service answers each question once; after that the same bytes are given again, so that the server is not
what is measured. Uncompressed for everybody. Prints its address as JSON and serves until its standard input ends.
Not here: who asks (ours.py, floor.py, with_dlt.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import polars as pl

from matokit_pipelines.simulator import MatomoSimulator, Truth, generate
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions
from matokit_pipelines.simulator.piwik_pro_server import PiwikProSimulator
from matokit_pipelines.simulator.wire import Answer, Listener, Request

DAYS = 5
END = datetime(2026, 11, 20, 23, tzinfo=UTC)  # midnight in Copenhagen
NOW = END + timedelta(hours=4)  # all sessions have ended and are processed
EVENTS_A_VISITOR = 4
ASKED = "/asked"
_SECRET = frozenset({"token_auth", "client_id", "client_secret"})


class Service(Protocol):
    """A simulated service."""

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        """The answer to a request, and the fault of the wire it meets or None."""


def truth_of(rows: int) -> Truth:
    """`rows` custom events in five days of Copenhagen, each visitor with four at most, so that visits are many."""
    truth = generate(days=DAYS, events_per_day=rows / DAYS * 1.1, seed=1, end=END)
    events = truth.events.filter(pl.col("category").is_not_null()).head(rows)
    if events.height < rows:
        raise ValueError(f"only {events.height} of {rows} events were made")
    machine = pl.col("machine").fill_null(-1 - pl.int_range(pl.len()))
    turn = pl.int_range(pl.len()).over(machine) // EVENTS_A_VISITOR
    numbers = events.select(pl.struct(machine, turn.alias("turn")).hash(seed=1)).to_series()
    visitors = pl.Series([f"{number:016x}" for number in numbers], dtype=pl.String)
    return replace(truth, events=events.with_columns(visitor_id=visitors))


class Kept:
    """Answers of a service, each made once; remembers what was asked, without secrets, until that is asked for."""

    slow_seconds = 0.0

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answers: dict[tuple[Any, ...], Answer] = {}
        self._asked: list[dict[str, Any]] = []
        self._bytes = self._made = 0
        self._lock = threading.Lock()

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        """The answer to a question, from what is kept where it was asked before."""
        if request.path == ASKED:
            return self._report(), None
        form = {name: value for name, value in request.form.items() if name not in _SECRET}
        body = b"" if request.form else request.body
        question = (request.http, request.path, *sorted(request.query.items()), *sorted(form.items()), body)
        answer = self._answers.get(question)
        is_new = answer is None
        if answer is None:
            headers = {name: text for name, text in request.headers.items() if name != "accept-encoding"}
            answer, _ = self._service.answer(replace(request, headers=headers))
            if answer.status == 200:
                self._answers[question] = answer
        kind = request.headers.get("content-type")
        asked = {"http": request.http, "path": request.path, "query": request.query, "form": form}
        with self._lock:
            self._asked.append(asked | {"body": body.decode(), "type": kind})
            self._bytes += len(answer.body)
            self._made += is_new
        return answer, None

    def _report(self) -> Answer:
        """What was asked since the last report, and how many answers had to be made for it."""
        with self._lock:
            report = {"asked": self._asked, "bytes": self._bytes, "made": self._made}
            self._asked, self._bytes, self._made = [], 0, 0
        return Answer(200, "application/json", json.dumps(report).encode())


def main() -> None:
    """Serve until standard input ends."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind", choices=("piwik_pro", "matomo"))
    options.add_argument("rows", type=int)
    chosen = options.parse_args()
    truth = truth_of(chosen.rows)
    told: dict[str, Any] = {"zone": truth.zone, "start": truth.start.date().isoformat(), "now": NOW.isoformat()}
    if chosen.kind == "piwik_pro":
        pro = PiwikProSimulator(truth, now=lambda: NOW, assumed=Assumptions(rate_limit=False))
        secrets = {"CLIENT_ID": pro.client_id, "CLIENT_SECRET": pro.client_secret}
        told |= {"site_id": pro.site_id, "secrets": secrets}
        service: Service = pro
    else:
        matomo = MatomoSimulator(truth, now=lambda: NOW)
        told |= {"site_id": "1", "secrets": {"TOKEN": matomo.token}, "visits": len(matomo.log.visits)}
        service = matomo
    listener = Listener(Kept(service), 0)
    print(json.dumps(told | {"url": listener.url}), flush=True)
    sys.stdin.read()
    listener.stop()


if __name__ == "__main__":
    main()
