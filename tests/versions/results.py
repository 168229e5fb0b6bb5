"""What came of the tests on each version."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.table import Table


@dataclass(frozen=True)
class Counts:
    """What pytest counted."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Result:
    """One version.

    Attributes:
        major: what was asked for.
        skipped: why it was not run; the empty string if it was.
        server: `server_version`.
        pgvector: version of the extension.
        counts: of the tests.
        seconds: wall clock, with the start of the stack.
    """

    major: str
    skipped: str = ""
    server: str = ""
    pgvector: str = ""
    counts: Counts = Counts()
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether a test failed, or none passed."""
        return not self.skipped and (self.counts.failed > 0 or self.counts.passed == 0)


def read(report: Path) -> Counts:
    """Count the tests of a JUnit file.

    Args:
        report: as `pytest --junitxml` writes it; nothing is counted if it is not there.
    """
    if not report.exists():
        return Counts()
    passed = failed = skipped = 0
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return Counts(passed, failed, skipped)


def table(results: Sequence[Result]) -> Table:
    """One row a version."""
    made = Table(title="The core of the tests on each PostgreSQL")
    for heading in ("version", "server_version", "pgvector"):
        made.add_column(heading)
    for heading in ("passed", "failed", "skipped", "seconds"):
        made.add_column(heading, justify="right")
    for result in results:
        if result.skipped:
            made.add_row(result.major, "not run")
            continue
        counts = result.counts
        made.add_row(
            result.major,
            result.server,
            result.pgvector,
            str(counts.passed),
            str(counts.failed),
            str(counts.skipped),
            f"{result.seconds:.0f}",
        )
    return made


def reasons(results: Sequence[Result]) -> list[str]:
    """A sentence for each version that was not run."""
    return [
        f"PostgreSQL {result.major} was not run: {result.skipped}"
        for result in results
        if result.skipped
    ]


def exit_code(results: Sequence[Result]) -> int:
    """1 if a test failed, or if no version was run."""
    ran = [result for result in results if not result.skipped]
    return 1 if not ran or any(result.is_bad for result in ran) else 0
