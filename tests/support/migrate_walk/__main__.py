"""`python -m tests.support.migrate_walk`: many walks; exit 1 when one of them is lost."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from random import Random

from connectors.local.stack import LocalStack
from tests.support.migrate_walk.actions import draw
from tests.support.migrate_walk.report import Report
from tests.support.migrate_walk.tables import TABLES
from tests.support.migrate_walk.walk import Lost, Walk
from tests.support.workplace import Endpoints, workplace

_PER_DATABASE = 10


def walks(
    endpoints: Endpoints, seed: int, numbers: range, *, longest: int = 12, stop: bool = False
) -> Report:
    """Walk.

    Args:
        endpoints: of the stack.
        seed: of all.
        numbers: of the walks; each begins where the one before it in its database
            ended.
        longest: most actions of one, before the way out.
        stop: at the first that is lost.
    """
    report = Report()
    left = list(numbers)
    while left:
        with (
            tempfile.TemporaryDirectory() as folder,
            workplace(
                endpoints, Path(folder), tables=[table.settings for table in TABLES]
            ) as place,
        ):
            walk = Walk(place, report, Random(f"{seed} rows"))
            for _ in range(_PER_DATABASE):
                if not left:
                    break
                number = left.pop(0)
                try:
                    walk.walk(draw(Random(f"{seed} {number}"), longest))
                except Lost as lost:
                    report.failures.append(f"seed {seed}, walk {number}:\n{lost}\n")
                    print(report.failures[-1], file=sys.stderr, flush=True)
                    if stop:
                        left.clear()
                    break  # the next walk cannot begin from what it left
    return report


def main() -> None:
    """Read the arguments, walk, report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.migrate_walk", description=__doc__
    )
    parser.add_argument("--sequences", type=int, default=200, help="how many walks")
    parser.add_argument("--seed", type=int, default=1, help="of all of them")
    parser.add_argument("--longest", type=int, default=12, help="most actions of one")
    parser.add_argument(
        "--only", type=int, metavar="NUMBER", help="this walk alone, in a database of its own"
    )
    arguments = parser.parse_args()
    only = arguments.only
    numbers = range(arguments.sequences) if only is None else range(only, only + 1)
    kept = os.environ.get("VECTRUE_TEST_STACK_DIR")
    if kept is None:
        sys.exit("VECTRUE_TEST_STACK_DIR names no stack")
    report = walks(LocalStack(Path(kept)).up(), arguments.seed, numbers, longest=arguments.longest)
    print(report)
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
