"""The faults that hit connections: the workers' to Postgres and to Kafka, and capture's
to Postgres.

The load and the checker do not go through the proxies.
"""

from tests.soak.hits import Hit, Kind, Stage
from tests.support.proxy import Proxy

_SLOWEST, _FASTEST = 30_000, 300_000
"""Bytes a second: a burst of the load is 2 MB of text."""


class Network:
    """Faults of the proxies, by the name of the way that each stands in."""

    def __init__(self, stage: Stage, ways: dict[str, Proxy]) -> None:
        """Nothing is hit yet."""
        self._stage = stage
        self._ways = ways

    def kinds(self) -> list[Kind]:
        """Four kinds per way."""
        return [
            self._kind(verb, way)
            for way in self._ways
            for verb in ("cut", "stall", "slow", "half-open")
        ]

    def _kind(self, verb: str, way: str) -> Kind:
        return Kind(f"{verb} {way}", f"way {way}", lambda: self._hit(verb, way))

    def _hit(self, verb: str, way: str) -> Hit:
        proxy, random = self._ways[way], self._stage.random
        hold = random.uniform(0.5, 8.0)
        what = f"{proxy.connections} connections"
        if verb == "cut":
            proxy.cut()
        elif verb == "stall":
            proxy.stall()
        elif verb == "slow":
            rate = random.randrange(_SLOWEST, _FASTEST)
            proxy.slow(rate)
            what += f" to {rate} bytes/s"
        else:
            loses = random.choice(("requests", "answers", "peer"))
            proxy.half_open(loses)
            what += f", {loses} lost"
        return self._stage.made(f"{verb} {way}", what, hold, proxy.mend)
