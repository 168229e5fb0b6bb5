"""`make soak`: random faults for a while, then an independent check. Exit 1 when any promise was broken.

Hazard: it starts a local stack of its own in .embedsync/soak and takes it away again; when the campaign failed, the
logs of its workers and of the stack stay in .embedsync/soak/work until the next one.
"""

import argparse
import shutil
import sys
from pathlib import Path

import psycopg2

from connectors.local.stack import Endpoints, LocalStack
from connectors.postgres.session import Session
from schemas.settings import load
from tests.soak.campaign import Bounds, Campaign
from tests.soak.checker import AUDIT, audit_trigger
from tests.soak.report import Report
from tests.soak.tables import DIMENSIONS, TABLES
from tests.support.workplace import Workplace

ROOT = Path(__file__).parent.parent.parent
NAME = "soak"


def prepare(endpoints: Endpoints, directory: Path) -> Workplace:
    """A database with the tables of the campaign, `init` run, and the audit trigger on every table."""
    settings = load(
        model={"name": "lexical", "dimensions": DIMENSIONS},
        postgres={"dsn": endpoints.postgres_dsn},
        kafka={"bootstrap_servers": endpoints.bootstrap_servers, "topic_prefix": NAME, "session_timeout_seconds": 6},
        connect={"url": endpoints.connect_url, "heartbeat_seconds": 1},
        replay={"chunk_size": 100},
        tables=[{"name": f"public.{table.name}", "text": table.expression} for table in TABLES],
    )
    place = Workplace(endpoints, settings, Session(settings.postgres.dsn, role=NAME), directory, settings)
    place.execute("CREATE EXTENSION vector")
    for table in TABLES:
        place.execute(table.create)
    return place


def audited(dsn: str) -> None:
    """Put the audit trigger on every table, which `init` has given its columns."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(AUDIT)
            for table in TABLES:
                cursor.execute(audit_trigger(table))
    finally:
        connection.close()


def run(faults: int, minutes: float, seed: int) -> Report:
    """Run one campaign on a stack of its own."""
    home = ROOT / ".embedsync" / NAME
    work = home / "work"
    shutil.rmtree(work, ignore_errors=True)
    stack = LocalStack(home)
    stack.reset()  # what a killed campaign left
    work.mkdir(parents=True)
    clean = False
    try:
        place = prepare(stack.up(), work)
        place.embedsync("init")
        place.session.close()
        audited(place.settings.postgres.dsn)
        campaign = Campaign(stack, place.settings, place.write_config(), work, seed)
        report = campaign.run(Bounds(faults, minutes * 60))
        clean = report.is_clean
    finally:
        if clean:
            shutil.rmtree(work)
        else:
            shutil.copytree(home / "logs", work / "logs")
        stack.reset()
    return report


def main() -> None:
    """Read the arguments, run, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--faults", type=int, default=60, help="how many faults are injected")
    parser.add_argument("--seed", type=int, default=0, help="of all generators")
    parser.add_argument("--minutes", type=float, default=60.0, help="no further fault after this long")
    parser.add_argument("--json", metavar="FILE", help="write the report there as JSON, too")
    arguments = parser.parse_args()
    report = run(arguments.faults, arguments.minutes, arguments.seed)
    report.print()
    if arguments.json:
        report.write(arguments.json)
    sys.exit(0 if report.is_clean else 1)


if __name__ == "__main__":
    main()
