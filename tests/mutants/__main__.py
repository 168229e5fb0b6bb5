"""`make mutants`: does the suite notice when the code is broken?

A copy of the checkout gets one defect at a time (`defects.py`), runs the tests named
for it, and must fail. First the same tests run on the unchanged copy, where they must
pass. Prints a table; exit 1 if a defect survived.

Hazard: the environment's own path entry leads to this checkout, so the copy is put
before it with PYTHONPATH, also for the processes that tests start; that it is the copy
that is imported is checked first, and printed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.local.stack import LocalStack
from tests.mutants.defect import Defect
from tests.mutants.defects import DEFECTS, misplaced
from tests.support.root import ROOT

PACKAGES = ("streams", "connectors", "schemas")
_LONGEST_SECONDS = 3600
"""For one run of pytest: all named tests, without a defect."""
_LONGEST_TEST_SECONDS = 600
"""A defect may have a test wait for ever."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of pytest found."""

    passed: bool
    failures: tuple[str, ...]
    """Each test that failed, with the line that says why."""
    seconds: float


class Copy:
    """A copy of the checkout's files, without its history and environment."""

    def __init__(self, directory: Path) -> None:
        """Copy what git knows or would add."""
        self.directory = directory
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(
            listed, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, directory / name)
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(directory),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def imported(self) -> list[Path]:
        """Where the packages come from, in a process that was started elsewhere."""
        program = (
            f"import {', '.join(PACKAGES)}; "
            f"print({', '.join(f'{name}.__file__' for name in PACKAGES)}, sep='\\n')"
        )
        with tempfile.TemporaryDirectory() as elsewhere:
            command = [sys.executable, "-P", "-c", program]
            done = subprocess.run(
                command,
                cwd=elsewhere,
                env=self._environment,
                check=True,
                capture_output=True,
                text=True,
            )
        return [Path(line) for line in done.stdout.split()]

    def test(self, tests: Sequence[str]) -> Run:
        """Run tests, in this order."""
        report = self.directory / "report.xml"
        report.unlink(missing_ok=True)
        options = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            f"--timeout={_LONGEST_TEST_SECONDS}",
            f"--junitxml={report}",
            f"--rootdir={self.directory}",
        ]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_SECONDS,
        )
        seconds = time.monotonic() - started
        if done.returncode not in (0, 1) or not report.exists():
            raise SystemExit(
                f"pytest exited {done.returncode} on {' '.join(tests)}:\n{done.stdout}{done.stderr}"
            )
        return Run(done.returncode == 0, tuple(_failures(report)), seconds)

    @contextmanager
    def broken(self, defect: Defect) -> Iterator[None]:
        """The copy with a defect, within."""
        file = self.directory / defect.file
        sound = file.read_text(encoding="utf-8")
        file.write_text(sound.replace(defect.old, defect.new), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(sound, encoding="utf-8")


def _failures(report: Path) -> Iterator[str]:
    for case in ElementTree.parse(report).iter("testcase"):
        found = case.find("failure") if case.find("failure") is not None else case.find("error")
        if found is not None:
            name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
            said = " ".join(_reason(found).split())
            short = said if len(said) <= 160 else said[:160] + "..."
            yield f"{name.removeprefix('tests/')}: {short}"


def _reason(found: ElementTree.Element) -> str:
    """The assertion as pytest shows it (its first `E` line); the exception's message
    where there is none.
    """
    lines = [line[1:] for line in (found.text or "").splitlines() if line.startswith("E ")]
    return lines[0] if lines else found.get("message", "")


@contextmanager
def stack() -> Iterator[None]:
    """One local stack for all runs: the kept one of VECTRUE_TEST_STACK_DIR, else one
    that is taken away again.
    """
    if os.environ.get("VECTRUE_TEST_STACK") or os.environ.get("VECTRUE_TEST_STACK_DIR"):
        yield
        return
    directory = ROOT / ".vectrue" / "mutants"
    local = LocalStack(directory)
    local.up()
    os.environ["VECTRUE_TEST_STACK_DIR"] = str(directory)
    try:
        yield
    finally:
        local.reset()


def campaign(defects: Sequence[Defect], console: Console) -> bool:
    """Try all of them; whether the suite noticed each."""
    with tempfile.TemporaryDirectory(prefix="vectrue-mutants-") as directory:
        copy = Copy(Path(directory))
        places = copy.imported()
        console.print(f"imported: {', '.join(map(str, places))}", style="dim", soft_wrap=True)
        if not all(place.is_relative_to(copy.directory) for place in places):
            raise SystemExit("the tests would not import the copy")
        sound = copy.test(list(dict.fromkeys(test for defect in defects for test in defect.tests)))
        if not sound.passed:
            raise SystemExit(f"without any defect a test fails: {sound.failures[0]}")
        console.print(f"without a defect: all named tests pass ({sound.seconds:.0f} s)")
        results = []
        for defect in defects:
            with copy.broken(defect):
                results.append(copy.test(defect.tests))
            shown = "SURVIVED" if results[-1].passed else "; ".join(results[-1].failures)
            console.print(f"{defect.name}: {shown}", soft_wrap=True, markup=False, highlight=False)
    console.print(_table(defects, results))
    return not any(result.passed for result in results)


def _table(defects: Sequence[Defect], results: Sequence[Run]) -> Table:
    table = Table(title="Defects put into the code", show_lines=True)
    for name, ratio in (("defect", 3), ("file", 2), ("noticed by", 8)):
        table.add_column(name, overflow="fold", ratio=ratio)
    table.add_column("s", justify="right")
    for defect, result in zip(defects, results, strict=True):
        table.add_row(defect.name, defect.file, escape(_noticed(result)), f"{result.seconds:.0f}")
    return table


def _noticed(result: Run) -> str:
    if result.passed:
        return "SURVIVED"
    more = len(result.failures) - 1
    return result.failures[0].replace(": ", "\n", 1) + (f"\nand {more} more" if more else "")


def main() -> None:
    """Arguments and exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument(
        "--only",
        metavar="WORDS",
        action="append",
        help="only the defects whose name holds these words; several times",
    )
    arguments = parser.parse_args()
    defects = [
        defect
        for defect in DEFECTS
        if any(words in defect.name for words in arguments.only or [""])
    ]
    complaints = misplaced(DEFECTS)
    if complaints or not defects:
        raise SystemExit("\n".join(complaints) or f"no defect's name holds {arguments.only!r}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    with stack():
        noticed = campaign(defects, console)
    if not noticed:
        raise SystemExit("a defect survived: the suite does not notice it")


if __name__ == "__main__":
    main()
