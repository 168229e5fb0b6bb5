"""`make test-versions`: the core of the integration tests on every PostgreSQL that the
README claims. Exit 1 when a test failed.

Hazard: it starts a local stack of its own in .vectrue/versions/N and takes it away
again, also after Ctrl-C.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg2
from rich.console import Console

from connectors.local.stack import LocalStack
from tests.support.root import ROOT
from tests.versions.core import CORE, TWINS
from tests.versions.debian import NotToBeHad
from tests.versions.installations import VERSIONS, installed
from tests.versions.results import Counts, Result, exit_code, read, reasons, table

HOME = ROOT / ".vectrue" / "versions"
_LEAVE_SECONDS = 120.0


def say(text: str) -> None:
    print(text, flush=True)


def tried(major: str, tests: Sequence[str], processes: int) -> Result:
    """Run tests on one version; why not, if this machine does not have it."""
    begun = time.monotonic()
    try:
        postgres = installed(major)
    except NotToBeHad as error:
        return Result(major, skipped=str(error))
    stack = LocalStack(HOME / major)
    stack.reset()  # what a killed run left
    try:
        endpoints = stack.up(say, postgres=postgres)
        server, pgvector = _versions(endpoints.postgres_dsn)
        say(f"-- PostgreSQL {server}, pgvector {pgvector}")
        counts = _pytest(stack.directory, tests, processes)
    finally:
        stack.reset()
    return Result(major, "", server, pgvector, counts, time.monotonic() - begun)


def _versions(dsn: str) -> tuple[str, str]:
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('server_version'), default_version "
                "FROM pg_available_extensions WHERE name = 'vector'"
            )
            found = cursor.fetchone()
            assert found, "pgvector is not installed"
            # Debian appends a package's version of its own
            return found[0].split()[0], found[1]
    finally:
        connection.close()


def _pytest(stack: Path, tests: Sequence[str], processes: int) -> Counts:
    report = HOME / f"{stack.name}.xml"
    report.unlink(missing_ok=True)
    several = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", "-k", TWINS]
    running = subprocess.Popen(
        [*command, *(several if processes > 1 else []), *tests],
        cwd=ROOT,
        env={**os.environ, "VECTRUE_TEST_STACK_DIR": str(stack)},
        # Ctrl-C reaches this process alone, which passes it on once: a second one would
        # cut short what the tests clean up
        process_group=0,
    )
    try:
        code = running.wait()
    except BaseException:
        os.killpg(running.pid, signal.SIGINT)
        try:
            running.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
        raise
    counts = read(report)
    # 5: nothing was collected; above 1: pytest itself did not end in order
    return counts if code in (0, 1) else Counts(counts.passed, counts.failed + 1, counts.skipped)


def main() -> None:
    """Read the arguments, run, print the table."""
    # as after Ctrl-C, also where a shell has it ignored: nothing is left running
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, signal.default_int_handler)
    parser = argparse.ArgumentParser(
        prog="python -m tests.versions", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--versions", metavar="LIST", default=",".join(VERSIONS), help="majors, like 16,18"
    )
    parser.add_argument(
        "--processes", type=int, default=2, help="how many run tests at the same time"
    )
    parser.add_argument("tests", nargs="*", help="other tests than the core")
    arguments = parser.parse_args()
    results: list[Result] = []
    try:
        for major in arguments.versions.split(","):
            results.append(tried(major.strip(), arguments.tests or CORE, arguments.processes))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        Console().print(table(results))
        for sentence in reasons(results):
            say(sentence)
    sys.exit(exit_code(results))


if __name__ == "__main__":
    main()
