"""Searches over HTTP by 50 clients at once, with and without queries sharing a pass of the model, in turns."""

import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.support.server import Server, fill_vectors, running_server
from tests.support.workplace import Workplace

CLIENTS = 50
ROUNDS = 3
SECONDS = 8.0
PATIENCE = {"request_seconds": 300.0}  # the machine may have other things to do
_SUM, _COUNT = (f'embedsync_api_batch_texts_{part}{{kind="query"}}' for part in ("sum", "count"))


def compare(place: Workplace, say: Callable[[str], None]) -> None:
    """Two servers over the same rows, one of which lets no queries share; medians over the rounds, and their ratio."""
    fill_vectors(place)
    with ExitStack() as running:
        servers = {
            "together": running.enter_context(running_server(place, log="together", **PATIENCE)),
            "alone": running.enter_context(running_server(place, log="alone", batch_size=1, **PATIENCE)),
        }
        for server in servers.values():
            asyncio.run(_load(server, 1.0))
        seen: dict[str, list[tuple[list[float], float]]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, server in servers.items():
                seen[name].append(asyncio.run(_load(server, SECONDS)))
        rates = {name: statistics.median(len(times) / took for times, took in rounds) for name, rounds in seen.items()}
        model = Path(place.settings.model.name)
        called = model.parent.name if model.is_absolute() else model.name
        for name, rounds in seen.items():
            times = sorted(one * 1000 for round_, _ in rounds for one in round_)
            p50, p95 = times[len(times) // 2], times[int(0.95 * len(times))]
            say(f"{called}, {CLIENTS} clients, queries {name}: {rates[name]:.0f} requests/s, "
                f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, {_per_pass(servers[name]):.1f} queries a pass")  # fmt: skip
        say(f"together / alone: {rates['together'] / rates['alone']:.1f}")


async def _load(server: Server, seconds: float) -> tuple[list[float], float]:
    """Seconds that each search took, by clients that ask one after the other; and until the last was done."""
    times: list[float] = []
    begun = time.monotonic()
    until = begun + seconds

    async def client(number: int, http: httpx.AsyncClient) -> None:
        asked = 0
        while time.monotonic() < until:
            started, asked = time.monotonic(), asked + 1
            answer = await http.post("/v1/search", json={"query": f"question number {number} of {asked}", "limit": 3})
            answer.raise_for_status()
            times.append(time.monotonic() - started)

    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=300) as http:
        await asyncio.gather(*(client(number, http) for number in range(CLIENTS)))
    return times, time.monotonic() - begun


def _per_pass(server: Server) -> float:
    shown = dict(line.rsplit(" ", 1) for line in server.client.get("/metrics").text.splitlines())
    return float(shown[_SUM]) / float(shown[_COUNT])
