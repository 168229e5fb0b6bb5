"""What `vectrue doctor` says of capture inside Postgres.

That is the publication, replication origins, the slot and the heartbeat.

Hazard: the heartbeat is written although nothing is delivered. Whether changes arrive,
the canary says.
"""

from collections.abc import Iterator, Sequence

from connectors.postgres import queries
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.health import watched
from connectors.postgres.health.checkup_schema import INIT
from connectors.postgres.session import Session
from connectors.postgres.setup import capture, others, schema
from schemas.duration import show_duration
from schemas.health.check_result import CheckResult, ok, problem, unknown, warning
from schemas.health.needs import KEPT, READER, RIGHTS, SCHEMA, SET_UP, Needs
from schemas.health.witness import Witness
from schemas.rows.table import TableName
from schemas.settings.reading import Settings

_LIMIT = "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf()"
_BEATS = 5
"""Heartbeats that may be missing before it is a problem.

One is missed whenever the connector is restarted.
"""
_SLOW_SECONDS = 10.0


def publication(
    session: Session, settings: Settings, tables: Sequence[Examined]
) -> Iterator[CheckResult]:
    """Whether the publication is there, and publishes the configured tables.

    Args:
        session: connection of the workers' role.
        settings: its name, the tables.
        tables: the configured tables that are sound.
    """
    name, check = settings.postgres.publication, Needs(settings).publication
    if not session.rows("SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)):
        said = f"there is no publication {name}: nothing is captured"
        yield problem(check, said, INIT, follows=SET_UP)
        return
    failing = _failing(settings, tables)
    differing = _differing(session, settings, failing)
    # Its whole list cannot be compared: it may rightly publish them.
    if failing:
        yield _of_failing(check, failing, differing)
        return
    left = dict.fromkeys(table for table, _ in others.leaving(session, settings))
    if left:
        yield from _of_another_file(check, list(left), differing)
        return
    yield from _to_do(session, settings, tables, differing)


def _of_failing(check: str, failing: Sequence[TableName], differing: Sequence[str]) -> CheckResult:
    if differing:
        return problem(check, "; ".join(differing), INIT, follows=SET_UP)
    follows = [f"table {table}" for table in failing]
    return unknown(check, "a table has a problem", follows=follows)


def _to_do(
    session: Session, settings: Settings, tables: Sequence[Examined], differing: Sequence[str]
) -> Iterator[CheckResult]:
    """What `init` would change about the publication."""
    name, check = settings.postgres.publication, Needs(settings).publication
    columns = settings.postgres.publication_columns
    statements, _ = capture.publication(session, name, tables, columns=columns)
    if columns == "keys":
        for notice in capture.unlisted(tables):
            yield warning(check, notice)
    for statement in statements:
        said = "; ".join([f"to do: {statement.description}", *differing])
        yield problem(check, said, INIT, follows=SET_UP)
    if not statements:
        yield ok(check, "publishes the configured tables")


def _failing(settings: Settings, tables: Sequence[Examined]) -> list[TableName]:
    """The configured tables that are not sound."""
    sound = {examined.target.table for examined in tables}
    failing: list[TableName] = []
    for table in settings.tables:
        if table.table not in sound:
            failing.append(table.table)
    return failing


def _differing(session: Session, settings: Settings, failing: Sequence[TableName]) -> list[str]:
    """What the publication publishes otherwise than configured, but for those tables."""
    check = Needs(settings).publication
    sentences: list[str] = []
    for one in watched.found(watched.read(session, settings), settings):
        difference = one.difference
        if difference.about == check and one.table not in failing:
            sentences.append(difference.sentence)
    return sentences


def _of_another_file(
    check: str, left: Sequence[str], differing: Sequence[str]
) -> Iterator[CheckResult]:
    # `init` with these settings would take them out, or refuse to.
    said = (
        f"publishes {', '.join(left)} too, which another settings file of this installation lists"
    )
    yield warning(check, said, "list them in [[tables]], or leave it so: they are kept true")
    if differing:
        fix = f"{INIT} with the file that lists every table"
        yield problem(check, "; ".join(differing), fix, follows=SET_UP)


def own_writes(session: Session, settings: Settings, facts: Server) -> Iterator[CheckResult]:
    """Whether the workers' own writes are labelled, so that they do not come back."""
    statements, notices = capture.origins(session, settings.postgres.origin, facts)
    descriptions = [statement.description for statement in statements]
    for said in descriptions + notices:
        words = f"own writes come back as events, one look-up each ({said})"
        yield warning("replication origins", words, INIT, follows=[*SET_UP, SCHEMA, RIGHTS])
    if not statements and not notices:
        said = f"{settings.postgres.origin}_0 and the others of that name are there"
        yield ok("replication origins", said)


def slot(settings: Settings, facts: Server, witnessed: Witness) -> Iterator[CheckResult]:
    """Whether the slot is read and moves, and whether what it holds is limited."""
    yield _reading(settings, witnessed)
    if facts.slot_limit == "-1":
        said = "is -1: a slot that is not read can fill the server's disk"
        yield warning("max_slot_wal_keep_size", said, _LIMIT)
    else:
        yield ok("max_slot_wal_keep_size", facts.slot_limit)


def _reading(settings: Settings, witnessed: Witness) -> CheckResult:
    needs = Needs(settings)
    check, seen = needs.slot, witnessed.slot
    held = "-"
    if seen.retained_bytes is not None:
        held = f"{seen.retained_bytes / 2**20:,.1f} MiB"
    if seen.error is not None:
        return unknown(check, seen.error, follows=SET_UP)
    if seen.state == "missing":
        return problem(check, "is not there: nothing is captured", INIT, follows=SET_UP)
    if seen.wal_status == "lost":
        said = "is lost: the server has removed the log it needs, and nothing is captured"
        return problem(check, said, INIT)
    if seen.wal_status == "unreserved":
        said = f"is about to be lost: it holds {held}, more than it may"
        return problem(check, said, "start its connector at once", part=READER)
    if seen.state == "inactive":
        said = f"is not read, and holds {held} of disk"
        fix = "start its connector: vectrue init"
        return problem(check, said, fix, part=READER, follows=needs.reader)
    still = seen.standstill_seconds
    if still is not None and still > witnessed.slot_seconds:
        said = (
            f"has stood still for {show_duration(still)} while the log moves, and holds "
            f"{held} of disk"
        )
        fix = "see the log of Kafka Connect"
        return problem(check, said, fix, part=READER, follows=needs.reader)
    return ok(check, f"is read; it holds {held} of disk")


def heartbeat(session: Session, settings: Settings) -> Iterator[CheckResult]:
    """Whether the connector touches its row in the database."""
    follows = (*KEPT, *Needs(settings).reader, READER)
    lines = []
    if schema.exists(session, "vectrue.heartbeat"):
        lines = session.rows(queries.text("heartbeat_age"))
    if not lines:
        said = "no heartbeat was ever written"
        yield problem("heartbeat", said, INIT, follows=follows)
        return
    age, every = float(lines[0][0]), settings.connect.heartbeat_seconds
    if age > _BEATS * every + _SLOW_SECONDS:
        said = f"the connector's last one is {age:,.0f} s old, and one is due every {every} s"
        fix = "see the lines about the connector"
        yield problem("heartbeat", said, fix, follows=follows)
        return
    # Never negative: the clocks of the connector and the server may differ.
    shown = f"{max(age, 0.0):.1f} s"
    said = f"the connector wrote to the database {shown} ago, which moves the slot"
    yield ok("heartbeat", said)
