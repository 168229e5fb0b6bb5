"""`make bench`: what the whole path does on this machine. The model is the lexical
stand-in: the path is measured.

Ratios are of one run, side by side; absolute figures move with the neighbours' load
(the load average is printed).

Hazard: it starts a local stack of its own in .vectrue/bench and takes it away again.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg2

from connectors.local.stack import LocalStack
from tests.bench import interview, live_first
from tests.support import figures
from tests.support import workplace as workplaces
from tests.support.models import build_xlm_roberta
from tests.support.own_postgres import postgres_alone
from tests.support.prefork import Process
from tests.support.root import ROOT
from tests.support.waiting import until
from tests.support.workplace import Endpoints, Workplace

SERVED_ROWS = 500
FILL = (
    "INSERT INTO questions (question) SELECT 'question number ' || i FROM generate_series(1, %s) i"
)


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def prepared(
    endpoints: Endpoints, dimensions: int = 1024, name: str = "lexical"
) -> Iterator[Workplace]:
    """A workplace with an empty `questions` table of real width; `init` was not run."""
    with tempfile.TemporaryDirectory() as directory:
        model = {"name": name, "dimensions": dimensions}
        with workplaces.workplace(
            endpoints, Path(directory), model=model, replay=interview.NICE
        ) as place:
            place.installed = True
            place.execute(workplaces.CREATE_QUESTIONS.format(dimensions=dimensions))
            yield place


def resident_mb(process: Process) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def latency(endpoints: Endpoints) -> None:
    """Single-row commits, one by one: commit -> visible by the database's clock."""
    with prepared(endpoints) as place:
        place.vectrue("init")
        place.start_worker("live")
        live_first.prepare(place)
        texts = interview.Texts(interview.TABLES[0], seed=5)
        live_first.insert(place, texts, seconds=1, per_second=30)
        ms = live_first.insert(place, texts, seconds=4, per_second=30)
        p50, p95 = statistics.median(ms), live_first.quantile(ms, 0.95)
        say(f"commit -> visible, {len(ms)} single inserts: p50 {p50:.1f} ms, p95 {p95:.1f} ms")


def startup(endpoints: Endpoints) -> None:
    """The start of a command, and of a worker."""
    from tests.bench.startup import run

    with prepared(endpoints) as place:
        place.vectrue("init")
        run(place, say)


def burst(endpoints: Endpoints, rows: int) -> None:
    """Many rows in one statement, through the live lane."""
    with prepared(endpoints) as place:
        place.vectrue("init")
        worker = place.start_worker("live")
        started = time.monotonic()
        place.execute(FILL, (rows,))
        inserted = time.monotonic() - started
        until(
            lambda: place.coverage()["current"] == rows, timeout=600, what="the burst to be current"
        )
        seconds = time.monotonic() - started
        say(
            f"live burst: {rows:,} rows in one statement ({inserted:.1f} s to insert),"
            f" all current after {seconds:.1f} s = {rows / seconds:,.0f} rows/s; worker "
            f"{resident_mb(worker):.0f} MB"
        )


def replay(endpoints: Endpoints, rows: int) -> None:
    """Rows that were there before, through one replay run; no row encoded twice."""
    with prepared(endpoints) as place:
        place.execute(FILL, (rows,))
        place.vectrue("init")
        worker = place.start_worker("replay")
        started = time.monotonic()
        place.vectrue("replay", "run", timeout=900)
        seconds = time.monotonic() - started
        embedded = place.value("SELECT sum(embedded) FROM vectrue.replay_chunks")
        say(
            f"replay: {rows:,} rows in {seconds:.1f} s = {rows / seconds:,.0f} rows/s; ledger: "
            f"{embedded:,} embedded;"
            f" status: {place.coverage()['current']:,} current; worker {resident_mb(worker):.0f} MB"
        )
        started = time.monotonic()
        place.vectrue("replay", "run", "--only", "all", timeout=900)
        again = time.monotonic() - started
        say(
            f"replay --only all over current rows: {again:.1f} s, {seconds / again:.1f} times "
            "faster than the first"
        )


def scale(endpoints: Endpoints, rows: int, dimensions: int) -> None:
    """Many rows through the whole path, with memory, Kafka, WAL and table size."""
    from tests.bench.scale import run

    with prepared(endpoints, dimensions) as place:
        say(f"{rows:,} rows, vectors of {dimensions:,} numbers")
        run(place, rows, say)


def writes(endpoints: Endpoints) -> None:
    """The staged binary write against one UPDATE per row, side by side."""
    from connectors.postgres.rows.store import PostgresStore
    from tests.bench.writes import compare

    with prepared(endpoints) as place:
        place.execute(FILL, (512,))
        place.vectrue("init")
        store = PostgresStore(place.settings.postgres, role="bench")
        connection = psycopg2.connect(place.settings.postgres.dsn)
        say(compare(store, connection, place))
        store.close()
        connection.close()


def live(endpoints: Endpoints, arguments: argparse.Namespace) -> None:
    """Live changes with and without a full replay beside them, with the stand-in or a
    network that takes real work.
    """
    name, rows, per_second = "live-first", 8 * arguments.rows, 20.0
    with tempfile.TemporaryDirectory() as folder:
        model = "lexical"
        if arguments.compute:
            name, rows, per_second = "live-first-compute", arguments.rows, 4.0
            model = str(build_xlm_roberta(Path(folder) / "xlm-roberta-1024", layers=4, hidden=1024))
        with prepared(endpoints, name=model) as place:
            report = live_first.run(
                place, rows, say, seconds=arguments.seconds, per_second=per_second
            )
    _show(report, arguments, name, f"live-first{' --compute' if arguments.compute else ''}")


def migrate(endpoints: Endpoints, arguments: argparse.Namespace) -> bool:
    """The guide's move from 768 to 1024 numbers and back, while clients search and
    edit; whether all was kept.
    """
    from tests.bench.migration import run

    report = run(endpoints, arguments.rows, say)
    _show(report, arguments, "migrate", f"migrate --rows {arguments.rows}")
    return report.is_clean


def serve(endpoints: Endpoints, arguments: argparse.Namespace) -> None:
    """50 clients at once, with two real models: how much sharing a pass of the model
    gives.
    """
    from tests.bench.serve import Report, compare
    from tests.support.models import minilm_folder

    report = Report(SERVED_ROWS, arguments.seconds)
    for name in (str(minilm_folder()), "multilingual-e5-small"):
        with prepared(endpoints, 384, name) as place:
            place.execute(FILL, (SERVED_ROWS,))
            place.vectrue("init")
            compare(place, report, say)
    _show(report, arguments, "serve", "serve")


def search(endpoints: Endpoints, arguments: argparse.Namespace) -> None:
    """Searches of many rows, exact and through HNSW."""
    from tests.bench.search import run

    with prepared(endpoints, arguments.dimensions) as place:
        report = run(place, arguments.rows, say)
    _show(report, arguments, "search", f"search --rows {arguments.rows}")


def rows(arguments: argparse.Namespace) -> None:
    """The digest of vectors, and scans around rows whose text cannot be made, on a
    Postgres alone.
    """
    from tests.bench.rows import prepared as database
    from tests.bench.rows import run

    folder = ROOT / ".vectrue" / "bench"
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    with postgres_alone(folder) as dsn, database(dsn) as settings:
        report = run(settings, arguments.rows, say)
    _show(report, arguments, "rows", f"rows --rows {arguments.rows}")


class Report(Protocol):
    """Figures of a section that can be kept."""

    def print(self) -> None:
        """To the terminal."""

    def to_json(self) -> dict[str, Any]:
        """By name."""

    def markdown(self, command: str) -> str:
        """As a table, below the command that repeats it."""


def _show(report: Report, arguments: argparse.Namespace, name: str, command: str) -> None:
    """Print the figures, and write them where it was asked for."""
    report.print()
    if arguments.json:
        figures.dump(arguments.json, report.to_json())
    if arguments.markdown:
        figures.put(
            arguments.markdown, name, report.markdown(f".venv/bin/python -m tests.bench {command}")
        )


def main() -> None:
    """Run the chosen sections."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--rows",
        type=int,
        default=50_000,
        help="rows of the live burst, of search, of rows and of each table of migrate; the "
        "replay has twice as many,"
        " that of live-first eight times as many (with --compute: so many)",
    )
    parser.add_argument(
        "--dimensions", type=int, default=1024, help="numbers in each vector of scale and search"
    )
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="length of each window of live-first and serve"
    )
    parser.add_argument(
        "--compute", action="store_true", help="live-first with a network that takes real work"
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the figures there, too: migrate, live-first, search, serve, rows",
    )
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help=("and as a table, into its place in docs/measurements.md or docs/search.md"),
    )
    parser.add_argument(
        "--stack", metavar="DIR", help="use the local stack in DIR, and leave it running"
    )
    parser.add_argument(
        "sections",
        nargs="*",
        help="startup, latency, writes, burst, replay, live-first, serve; all of them when left "
        "out; scale, migrate, search; rows (by itself: it needs Postgres only)",
    )
    arguments = parser.parse_args()
    if arguments.sections == ["rows"]:
        say(f"-- rows (load average {os.getloadavg()[0]:.1f})")
        rows(arguments)
        return
    sections: dict[str, Callable[[Endpoints], bool | None]] = {
        "startup": startup,
        "latency": latency,
        "writes": writes,
        "burst": lambda endpoints: burst(endpoints, arguments.rows),
        "replay": lambda endpoints: replay(endpoints, 2 * arguments.rows),
        "live-first": lambda endpoints: live(endpoints, arguments),
        "serve": lambda endpoints: serve(endpoints, arguments),
    }
    chosen = arguments.sections or list(sections)
    # Minutes: only when it is asked for.
    sections["scale"] = lambda endpoints: scale(endpoints, arguments.rows, arguments.dimensions)
    sections["search"] = lambda endpoints: search(endpoints, arguments)
    sections["migrate"] = lambda endpoints: migrate(endpoints, arguments)
    stack = LocalStack(Path(arguments.stack) if arguments.stack else ROOT / ".vectrue" / "bench")
    endpoints = stack.up()
    kept = True
    try:
        for name in chosen:
            say(f"-- {name} (load average {os.getloadavg()[0]:.1f})")
            kept = sections[name](endpoints) is not False and kept
    finally:
        if not arguments.stack:
            stack.reset()
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
