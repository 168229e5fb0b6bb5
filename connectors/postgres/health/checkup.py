"""What `vectrue doctor` finds in Postgres, as the worker's own role.

The rules are those of `init`, asked again.

Hazard: nothing here changes anything. The one object that is made, a temporary view, is
rolled back.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from connectors.postgres import queries
from connectors.postgres.checks import replica_identity, server
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.errors import DENIED
from connectors.postgres.health import (
    checkup_capture,
    checkup_columns,
    checkup_rights,
    checkup_schema,
    witness,
)
from connectors.postgres.health.checkup_schema import ExpectedModel
from connectors.postgres.session import Session
from connectors.postgres.setup import origins, others, slot
from schemas.errors import ConfigurationError
from schemas.health.check_result import CheckResult, Level, guarded, ok, problem, warning
from schemas.health.needs import POSTGRES, RIGHTS, SCHEMA, Needs
from schemas.health.witness import Witness
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings

__all__ = ["Checkup", "ExpectedModel", "run"]

_UNREAD = "what a right is missing for"
"""A part: whatever it is, it explains no missing right."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that was found, and what the checks of Kafka Connect need of it.

    Attributes:
        findings: in the order in which they are shown.
        server: what it can do.
        tables: the configured tables that are sound.
        slot_position: where the slot stands in the log; None without a slot.
        parameters: of the connection, by libpq's names.
        witness: what green is judged by.
        foreign_origins: replication origins that others may write under.
        leaving: tables that are kept true and that these settings do not list.
    """

    findings: tuple[CheckResult, ...]
    server: Server
    tables: tuple[Examined, ...]
    slot_position: int | None
    parameters: dict[str, str]
    witness: Witness
    foreign_origins: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()


def run(session: Session, settings: Settings, wanted: ExpectedModel) -> Checkup:
    """Look at everything in the database.

    Raises:
        TransientError, ConfigurationError: Postgres does not answer, or refuses us.
    """
    role = session.connection().info.user
    facts = server.facts(session, role)
    findings = list(_server(facts, role))
    if session.is_pooled:
        findings.append(_pooled())
    # Each sound table is added to it, for the checks that follow.
    tables: list[Examined] = []
    refused = replica_identity.by_table(session, settings)
    for table in settings.tables:
        findings += _table(session, table, facts, wanted, tables, refused)
    findings += _set_up(session, settings, facts, tables, wanted)
    for name, differences in refused.items():
        for one in differences:
            findings.append(problem(f"table {name}", one.sentence, one.fix))
    own_writes = partial(checkup_capture.own_writes, session, settings, facts)
    findings += guarded("replication origins", own_writes)
    seen = witness.read(session, settings)
    read_slot = partial(checkup_capture.slot, settings, facts, seen)
    findings += guarded(Needs(settings).slot, read_slot)
    findings += guarded("heartbeat", partial(checkup_capture.heartbeat, session, settings))
    return _checkup(session, settings, findings, facts, tables, seen)


def _set_up(
    session: Session,
    settings: Settings,
    facts: Server,
    tables: Sequence[Examined],
    wanted: ExpectedModel,
) -> Iterator[CheckResult]:
    """The lines of what `init` sets up: schema, rights, publication."""
    looks = {
        SCHEMA: partial(checkup_schema.look, session, settings, tables, wanted),
        RIGHTS: partial(checkup_rights.look, session, settings, facts, tables),
        Needs(settings).publication: partial(
            checkup_capture.publication, session, settings, tables
        ),
    }
    for check, look in looks.items():
        yield from guarded(check, look)


def _checkup(
    session: Session,
    settings: Settings,
    findings: Iterable[CheckResult],
    facts: Server,
    tables: Iterable[Examined],
    seen: Witness,
) -> Checkup:
    parameters = session.connection().info.dsn_parameters
    foreign = tuple(origins.foreign(session, settings))
    position = slot.position(session, settings.slot)
    leaving = tuple(_leaving(session, settings))
    return Checkup(
        findings=tuple(_readable(session, findings)),
        server=facts,
        tables=tuple(tables),
        slot_position=position,
        parameters=parameters,
        witness=seen,
        foreign_origins=foreign,
        leaving=leaving,
    )


def _table(
    session: Session,
    table: TableSettings,
    facts: Server,
    wanted: ExpectedModel,
    found: list[Examined],
    refused: Container[TableName],
) -> Iterator[CheckResult]:
    """The lines of a table and its vector column, each once; adds it to `found`."""
    name = f"table {table.name}"
    made = (wanted.name, wanted.dimensions)
    lines = guarded(name, partial(checkup_columns.look, session, table, made))
    examine = partial(checkup_schema.table, session, table, facts, wanted, found, refused)
    lines += guarded(name, examine)
    for line in dict.fromkeys(lines):
        # Columns of its types went with the extension.
        if facts.vector_schema is None:
            yield replace(line, follows=(*line.follows, POSTGRES))
        else:
            yield line


def _leaving(session: Session, settings: Settings) -> list[str]:
    """The tables that are kept true and not listed; none where that cannot be read."""
    try:
        places = others.leaving(session, settings)
    # Other lines say so.
    except ConfigurationError:
        return []
    return list(dict.fromkeys(table for table, _ in places))


def _readable(session: Session, findings: Iterable[CheckResult]) -> Iterator[CheckResult]:
    """The same findings, each that a right on the schema vectrue explains marked so."""
    parameters = {"role": session.connection().info.user, "schemas": ["vectrue"]}
    _, unusable, unreadable, _ = session.rows(queries.text("missing_rights"), parameters)[0]
    for one in findings:
        if (unusable or unreadable) and _is_denied(one):
            yield replace(one, part=_UNREAD, follows=(*one.follows, RIGHTS))
        else:
            yield one


def _is_denied(one: CheckResult) -> bool:
    return one.level is Level.PROBLEM and one.check != RIGHTS and DENIED in one.sentence


def _server(facts: Server, role: str) -> Iterator[CheckResult]:
    for error in server.problems(facts, role, setting_up=False):
        yield problem("Postgres", error.message, error.fix)
    version = f"{facts.version // 10_000}.{facts.version % 10_000}"
    yield ok("Postgres", f"PostgreSQL {version} answers, database {facts.database}, role {role}")
    if facts.wal_level == "logical":
        yield ok("wal_level", "logical")
    if facts.vector_schema is not None:
        yield ok("pgvector", f"extension vector is in schema {facts.vector_schema}")
    if facts.major < server.ORIGIN_FILTER_FROM:
        yield warning(
            "own writes",
            f"PostgreSQL {facts.major} cannot leave them out of capture: each costs a look-up",
            "use PostgreSQL 16 or newer",
        )


def _pooled() -> CheckResult:
    return warning(
        "connection",
        "leads through a pooler in session mode, which must run DISCARD ALL between its clients",
        "name the server itself in postgres.dsn where possible",
    )
