"""`make bench`: what the whole path does on this machine. The model is the lexical stand-in: the path is measured.

Ratios are of one run, side by side; absolute figures move with the neighbours' load (the load average is printed).

Hazard: it starts a local stack of its own in .embedsync/bench and takes it away again.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from connectors.local.stack import LocalStack
from tests.support import workplace as workplaces
from tests.support.waiting import until
from tests.support.workplace import Endpoints, Workplace

ROOT = Path(__file__).parent.parent.parent
FILL = "INSERT INTO questions (question) SELECT 'question number ' || i FROM generate_series(1, %s) i"


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def prepared(endpoints: Endpoints, dimensions: int = 1024) -> Iterator[Workplace]:
    """A workplace with an empty `questions` table of real width; `init` was not run."""
    with tempfile.TemporaryDirectory() as directory:
        model = {"name": "lexical", "dimensions": dimensions}
        with workplaces.workplace(endpoints, Path(directory), model=model) as place:
            place.execute(workplaces.CREATE_QUESTIONS.format(dimensions=dimensions))
            yield place


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def resident_mb(process: "subprocess.Popen[bytes]") -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def latency(endpoints: Endpoints) -> None:
    """Single-row commits, one by one: commit -> visible by the database's clock."""
    with prepared(endpoints) as place:
        place.embedsync("init")
        place.start_worker("live")
        place.execute("CREATE TABLE made (id bigint PRIMARY KEY, at timestamptz)")
        insert = (
            "WITH q AS (INSERT INTO questions (question) VALUES ('question ' || random()) RETURNING id)"
            " INSERT INTO made SELECT id, clock_timestamp() FROM q"
        )
        place.execute(insert)
        place.wait_current()
        for _ in range(100):
            place.execute(insert)
            time.sleep(0.03)  # paces the load, one commit at a time; nothing is waited for
        place.wait_current()
        lines = place.execute(
            "SELECT extract(epoch FROM embedded_at - at) * 1000 FROM made JOIN questions USING (id) WHERE id > 1"
        )
        ms = [float(value) for (value,) in lines]
        p50, p95 = statistics.median(ms), quantile(ms, 0.95)
        say(f"commit -> visible, {len(ms)} single inserts: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


def burst(endpoints: Endpoints, rows: int) -> None:
    """Many rows in one statement, through the live lane."""
    with prepared(endpoints) as place:
        place.embedsync("init")
        worker = place.start_worker("live")
        started = time.monotonic()
        place.execute(FILL, (rows,))
        inserted = time.monotonic() - started
        until(lambda: place.coverage()["current"] == rows, timeout=600, what="the burst to be current")
        seconds = time.monotonic() - started
        say(
            f"live burst: {rows:,} rows in one statement ({inserted:.1f} s to insert),"
            f" all current after {seconds:.1f} s = {rows / seconds:,.0f} rows/s; worker {resident_mb(worker):.0f} MB"
        )


def replay(endpoints: Endpoints, rows: int) -> None:
    """Rows that were there before, through one replay run; no row encoded twice."""
    with prepared(endpoints) as place:
        place.execute(FILL, (rows,))
        place.embedsync("init")
        worker = place.start_worker("replay")
        started = time.monotonic()
        place.embedsync("replay", "run", timeout=900)
        seconds = time.monotonic() - started
        embedded = place.value("SELECT sum(embedded) FROM embedsync.replay_chunks")
        say(
            f"replay: {rows:,} rows in {seconds:.1f} s = {rows / seconds:,.0f} rows/s; ledger: {embedded:,} embedded;"
            f" status: {place.coverage()['current']:,} current; worker {resident_mb(worker):.0f} MB"
        )
        started = time.monotonic()
        place.embedsync("replay", "run", "--only", "all", timeout=900)
        again = time.monotonic() - started
        say(f"replay --only all over current rows: {again:.1f} s, {seconds / again:.1f} times faster than the first")


def scale(endpoints: Endpoints, rows: int, dimensions: int) -> None:
    """Many rows through the whole path, with memory, Kafka, WAL and table size."""
    from tests.bench.scale import run

    with prepared(endpoints, dimensions) as place:
        say(f"{rows:,} rows, vectors of {dimensions:,} numbers")
        run(place, rows, say)


def writes(endpoints: Endpoints) -> None:
    """The staged binary write against one UPDATE per row, side by side."""
    from connectors.postgres.store import PostgresStore
    from tests.bench.writes import compare

    with prepared(endpoints) as place:
        place.execute(FILL, (512,))
        place.embedsync("init")
        store = PostgresStore(place.settings.postgres, role="bench")
        connection = psycopg2.connect(place.settings.postgres.dsn)
        say(compare(store, connection, place))
        store.close()
        connection.close()


def serve(endpoints: Endpoints) -> None:
    """50 clients at once, with two real models: how much sharing a pass of the model gives."""
    from tests.bench.serve import compare
    from tests.support.models import minilm_folder

    for name in (str(minilm_folder()), "multilingual-e5-small"):
        with prepared(endpoints, 384) as place:
            place.with_settings(model={"name": name, "dimensions": 384})
            place.execute(FILL, (500,))
            place.embedsync("init")
            compare(place, say)


def main() -> None:
    """Run the chosen sections."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000, help="rows of the live burst; the replay has twice as many")
    parser.add_argument("--dimensions", type=int, default=1024, help="numbers in each vector of scale")
    parser.add_argument(
        "sections", nargs="*", help="latency, burst, replay, writes, serve; all of them when left out; scale"
    )
    arguments = parser.parse_args()
    sections: dict[str, Callable[[Endpoints], None]] = {
        "latency": latency,
        "writes": writes,
        "burst": lambda endpoints: burst(endpoints, arguments.rows),
        "replay": lambda endpoints: replay(endpoints, 2 * arguments.rows),
        "serve": serve,
    }
    chosen = arguments.sections or list(sections)
    # Minutes: only when it is asked for.
    sections["scale"] = lambda endpoints: scale(endpoints, arguments.rows, arguments.dimensions)
    stack = LocalStack(ROOT / ".embedsync" / "bench")
    endpoints = stack.up()
    try:
        for name in chosen:
            say(f"-- {name} (load average {os.getloadavg()[0]:.1f})")
            sections[name](endpoints)
    finally:
        stack.reset()


if __name__ == "__main__":
    main()
