"""Searches over HTTP by 50 clients at once, with and without queries sharing a pass of
the model, in turns.

Two servers stand over the same rows; the one that is not asked does nothing. Their
rounds follow one another as A B B A A B, so that a machine that grows slower with time
favours neither.

Hazard: the clients are a process on the same machine, and share its cores with the
server, its model and Postgres. What they take is shown; more clients, or a faster
model, and the clients are what is measured.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from tests.bench.live_first import quantile
from tests.support import figures
from tests.support.server import Server, fill_vectors, running_server
from tests.support.workplace import Workplace

CLIENTS = 50
ROUNDS = 3
_LIMIT = 3
_WARM_SECONDS = 2.0
PATIENCE = {"request_seconds": 300.0}  # the machine may have other things to do
TOGETHER, ALONE = "together", "alone"
Say = Callable[[str], None]


@dataclass
class Measured:
    """Rounds of one model and server.

    Attributes:
        rates: answers a second, of each round.
        ms: milliseconds of each request.
        queries: that the server embedded.
        passes: of the model, in which it did.
        cores: of the machine that the clients took, in each round.
    """

    rates: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    queries: float = 0.0
    passes: float = 0.0
    cores: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Figures by name; the rate is the median of the rounds."""
        p50, p95 = (round(quantile(self.ms, share), 1) for share in (0.5, 0.95))
        return {
            "requests": len(self.ms),
            "requests_per_second": median(self.rates),
            "p50_ms": p50,
            "p95_ms": p95,
            "queries_per_pass": self.queries / self.passes,
            "client_cores": median(self.cores),
        }

    def line(self) -> str:
        """The same in words."""
        return (
            f"{median(self.rates):,.0f} requests/s, p50 / p95 {quantile(self.ms, 0.5):,.0f} /"
            f" {quantile(self.ms, 0.95):,.0f} ms, {self.queries / self.passes:.1f} queries a pass;"
            f" the clients took {median(self.cores):.1f} cores"
        )


@dataclass
class Report:
    """Figures of one run: seconds of a round, and what came of each model and way."""

    rows: int
    seconds: float
    models: dict[str, dict[str, Measured]] = field(default_factory=dict)

    def ratio(self, model: str) -> float:
        """Answers a second with shared passes, to those without."""
        ways = self.models[model]
        return median(ways[TOGETHER].rates) / median(ways[ALONE].rates)

    def lines(self) -> list[tuple[str, object]]:
        """The table."""
        lines: list[tuple[str, object]] = [
            (
                "load",
                (
                    f"{CLIENTS} clients, each with its next query once it is answered; "
                    f"{self.rows:,} rows, no index"
                ),
            ),
            ("rounds", f"{ROUNDS} of {self.seconds:g} s each, alternately"),
            ("cores", f"{os.cpu_count()}, shared by clients, server and Postgres"),
        ]
        for model, ways in self.models.items():
            lines += [
                (f"{model}, queries {name}", measured.line()) for name, measured in ways.items()
            ]
            lines.append((f"{model}, requests/s {TOGETHER} / {ALONE}", f"{self.ratio(model):.1f}"))
        return lines

    def to_json(self) -> dict[str, Any]:
        """All figures by name."""
        models = {
            model: {
                **{name: measured.to_json() for name, measured in ways.items()},
                "ratio": self.ratio(model),
            }
            for model, ways in self.models.items()
        }
        return {
            **vars(self),
            "clients": CLIENTS,
            "rounds": ROUNDS,
            "cores": os.cpu_count(),
            "models": models,
        }

    def markdown(self, command: str) -> str:
        """The table for docs/search.md, and the command that repeats it."""
        table = figures.markdown(("searches over HTTP", "medians of the rounds"), self.lines())
        return f"`{command}`\n\n{table}"

    def print(self) -> None:
        """Print the table."""
        figures.show(Console(width=200), "searches over HTTP", self.lines())


def compare(place: Workplace, report: Report, say: Say) -> None:
    """Measure the workplace's model: two servers over the same rows, one of which lets
    no queries share.
    """
    fill_vectors(place)
    model = Path(place.settings.model.name)
    name = model.parent.name if model.is_absolute() else model.name
    with ExitStack() as running:
        servers = {
            TOGETHER: running.enter_context(running_server(place, log=TOGETHER, **PATIENCE)),
            ALONE: running.enter_context(
                running_server(place, log=ALONE, batch_size=1, **PATIENCE)
            ),
        }
        for server in servers.values():
            asyncio.run(_load(server, _WARM_SECONDS))
        ways = report.models[name] = {way: Measured() for way in servers}
        for number in range(ROUNDS):
            order = list(servers) if number % 2 == 0 else list(servers)[::-1]
            for way in order:
                _round(servers[way], ways[way], report.seconds)
    for way, measured in ways.items():
        say(f"{name}, queries {way}: {measured.line()}")


def _round(server: Server, measured: Measured, seconds: float) -> None:
    """One round, whose answers the server must have counted as the clients did.

    Raises:
        AssertionError: it did not.
    """
    before, cpu = _counts(server), time.process_time()
    ms, took = asyncio.run(_load(server, seconds))
    cpu = time.process_time() - cpu
    answered, queries, passes = (
        now - then for now, then in zip(_counts(server), before, strict=True)
    )
    if not answered == queries == len(ms):
        raise AssertionError(
            f"{len(ms)} answers came; the server counted {answered:g}, and {queries:g} queries"
        )
    measured.ms += ms
    measured.rates.append(len(ms) / took)
    measured.cores.append(cpu / took)
    measured.queries += queries
    measured.passes += passes


async def _load(server: Server, seconds: float) -> tuple[list[float], float]:
    """Milliseconds of each search, by clients that ask one after the other; and seconds
    until the last was done.
    """
    ms: list[float] = []
    begun = time.monotonic()
    until = begun + seconds

    async def client(number: int, http: httpx.AsyncClient) -> None:
        asked = 0
        while time.monotonic() < until:
            started, asked = time.monotonic(), asked + 1
            query = {"query": f"question number {number} of {asked}", "limit": _LIMIT}
            answer = await http.post("/v1/search", json=query)
            answer.raise_for_status()
            ms.append(1000 * (time.monotonic() - started))

    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=300) as http:
        await asyncio.gather(*(client(number, http) for number in range(CLIENTS)))
    return ms, time.monotonic() - begun


def _counts(server: Server) -> tuple[float, float, float]:
    """Searches answered, queries embedded, and passes of the model so far, as the
    server's metrics have it.
    """
    samples = {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(server.client.get("/metrics").text)
        for one in family.samples
    }
    names = (
        ("vectrue_api_requests_total", "/v1/search", "200"),
        ("vectrue_api_batch_texts_sum", "query"),
        ("vectrue_api_batch_texts_count", "query"),
    )
    answered, queries, passes = (samples.get(name, 0.0) for name in names)
    return answered, queries, passes
