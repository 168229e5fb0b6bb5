"""`make soak`: random faults for a while, then an independent check. Exit 1 when any
promise was broken.

Hazard: it starts a local stack of its own in .vectrue/soak and takes it away again;
when the campaign failed, the logs of its workers and of the stack stay in
.vectrue/soak/work until the next one.
"""

import argparse
import faulthandler
import shutil
import signal
import sys

import psycopg2

from connectors.local.machine import free_ports
from connectors.local.machine.properties import SecondListener
from connectors.local.stack import LocalStack
from tests.soak.audit import AUDIT, WORKER, audit_trigger
from tests.soak.campaign import Bounds, Campaign
from tests.soak.places import NAME, places, prepare
from tests.soak.report import Report
from tests.soak.tables import TABLES
from tests.support.proxy import Proxy
from tests.support.root import ROOT


def audited(dsn: str) -> None:
    """Put the audit trigger on every table, which `init` has given its columns."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(AUDIT)
            for table in TABLES:
                cursor.execute(audit_trigger(table))
            cursor.execute(
                f"GRANT USAGE ON SCHEMA soak TO {WORKER}; GRANT INSERT ON soak.audit TO {WORKER}"
            )
    finally:
        connection.close()


def run(faults: int, minutes: float, seed: int, only: str = "") -> Report:
    """Run one campaign on a stack of its own."""
    home = ROOT / ".vectrue" / NAME
    work = home / "work"
    shutil.rmtree(work, ignore_errors=True)
    inside, outside = free_ports.choose(2)
    stack = LocalStack(home, second_listener=SecondListener(inside, outside))
    stack.reset()  # what a killed campaign left
    work.mkdir(parents=True)
    clean = False
    ways: dict[str, Proxy] = {}
    try:
        endpoints = stack.up()
        postgres = int(endpoints.postgres_dsn.rsplit(":", 1)[1].split("/")[0])
        ways |= {
            "postgres": Proxy(postgres),
            "capture": Proxy(postgres),
            "kafka": Proxy(inside, outside),
        }
        for way in ways.values():
            way.start()
        place = prepare(endpoints, ways, work)
        place.vectrue("init")
        place.session.close()
        audited(endpoints.postgres_dsn)
        campaign = Campaign(stack, places(endpoints, ways, place), ways, work, seed, only)
        report = campaign.run(Bounds(faults, minutes * 60))
        clean = report.is_clean
    finally:
        for way in ways.values():
            way.stop()
        if clean:
            shutil.rmtree(work)
        else:
            shutil.copytree(home / "logs", work / "logs")
        stack.reset()
    return report


def main() -> None:
    """Read the arguments, run, report."""
    # as after Ctrl-C: nothing is left running
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # where every thread is, for a campaign that seems to stand still
    faulthandler.register(signal.SIGUSR1)
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--faults", type=int, default=60, help="how many faults are injected")
    parser.add_argument("--seed", type=int, default=0, help="of all generators")
    parser.add_argument(
        "--minutes", type=float, default=600.0, help="no further fault after this long"
    )
    parser.add_argument(
        "--only", metavar="WORDS", default="", help="only faults whose name holds these words"
    )
    parser.add_argument("--json", metavar="FILE", help="write the report there as JSON, too")
    parser.add_argument(
        "--markdown", metavar="FILE", help="write the figures there as a table, too"
    )
    arguments = parser.parse_args()
    report = run(arguments.faults, arguments.minutes, arguments.seed, arguments.only)
    report.print()
    if arguments.json:
        report.write(arguments.json)
    if arguments.markdown:
        report.write_markdown(arguments.markdown)
    sys.exit(0 if report.is_clean else 1)


if __name__ == "__main__":
    main()
