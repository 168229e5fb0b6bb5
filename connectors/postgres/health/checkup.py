"""What `vectrue doctor` finds in Postgres, as the worker's own role: the rules are
those of `init`, asked again.

Hazard: nothing here changes anything. The one object that is made, a temporary view, is
rolled back.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from connectors.postgres import catalog, queries
from connectors.postgres.checks import neighbour, replica_identity, server, trust
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.errors import DENIED
from connectors.postgres.health import checkup_columns, log_watch, watched, witness
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from connectors.postgres.setup import (
    capture,
    counting,
    grants,
    origins,
    others,
    schema,
    score_rights,
    slot,
)
from connectors.postgres.statement import Statement
from schemas.duration import show_duration
from schemas.errors import ConfigurationError
from schemas.health.check_result import CheckResult, Level, guarded, ok, problem, unknown, warning
from schemas.health.needs import INIT as FOUNDED
from schemas.health.needs import KEPT, POSTGRES, READER, RIGHTS, SCHEMA, SET_UP, Needs, length
from schemas.health.witness import Witness
from schemas.reports.migration import ColumnMigration, is_behind
from schemas.reports.model_record import ModelRecord
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import TableSettings

INIT = "vectrue init"
_UNREAD = "what a right is missing for"
"""A part: whatever it is, it explains no missing right."""
_LIMIT = "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf()"
_BEATS = 5
"""Heartbeats that may be missing before it is a problem; one is missed whenever the
connector is restarted.
"""
_SLOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ExpectedModel:
    """The model that the settings name; None where its files are not here."""

    name: str
    record: ModelRecord | None
    dimensions: int

    @property
    def model_id(self) -> str | None:
        """Its id."""
        return self.record.model if self.record else None


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything that was found, and what the checks of Kafka Connect need of it."""

    findings: tuple[CheckResult, ...]
    server: Server
    tables: tuple[Examined, ...]
    slot_position: int | None
    parameters: dict[str, str]
    witness: Witness
    foreign_origins: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    """Tables that are kept true and that these settings do not list."""


def run(session: Session, settings: Settings, wanted: ExpectedModel) -> Checkup:
    """Look at everything in the database.

    Raises:
        TransientError, ConfigurationError: Postgres does not answer, or refuses us.
    """
    role = session.connection().info.user
    facts = server.facts(session, role)
    findings = list(_server(facts, role))
    if session.is_pooled:
        said = (
            "leads through a pooler in session mode, which must run DISCARD ALL between its clients"
        )
        findings.append(
            warning("connection", said, "name the server itself in postgres.dsn, where that can be")
        )
    tables: list[Examined] = []
    refused, needs = replica_identity.by_table(session, settings), Needs(settings)
    # Columns of its types went with the extension.
    columns = (POSTGRES,) if facts.vector_schema is None else ()
    made = (wanted.name, wanted.dimensions)
    for table in settings.tables:
        name = f"table {table.name}"
        looked = guarded(name, lambda table=table: checkup_columns.look(session, table, made))  # type: ignore[misc] # bound per table
        looked += guarded(
            name, lambda table=table: _table(session, table, facts, wanted, tables, refused)
        )  # type: ignore[misc] # likewise
        findings += [
            replace(one, follows=(*one.follows, *columns)) for one in dict.fromkeys(looked)
        ]
    findings += guarded(SCHEMA, lambda: _bookkeeping(session, settings, tables, wanted))
    findings += guarded(RIGHTS, lambda: _rights(session, settings, facts, tables))
    findings += guarded(needs.publication, lambda: _publication(session, settings, tables))
    findings += [
        problem(f"table {table}", d.sentence, d.fix)
        for table, found in refused.items()
        for d in found
    ]
    findings += guarded("replication origins", lambda: _origins(session, settings, facts))
    seen = witness.read(session, settings)
    findings += guarded(needs.slot, lambda: _slot(settings, facts, seen))
    findings += guarded("heartbeat", lambda: _heartbeat(session, settings))
    parameters = session.connection().info.dsn_parameters
    foreign, at = tuple(origins.foreign(session, settings)), slot.position(session, settings.slot)
    leaving = tuple(_leaving(session, settings))
    return Checkup(
        tuple(_readable(session, findings)),
        facts,
        tuple(tables),
        at,
        parameters,
        seen,
        foreign,
        leaving,
    )


def _leaving(session: Session, settings: Settings) -> list[str]:
    """The tables that are kept true and not listed; none where that cannot be read,
    which other lines say.
    """
    try:
        return list(dict.fromkeys(table for table, _ in others.leaving(session, settings)))
    except ConfigurationError:
        return []


def _readable(session: Session, findings: Iterable[CheckResult]) -> Iterator[CheckResult]:
    """The same; what could not be looked at without a right on the schema vectrue
    follows from that right.
    """
    parameters = {"role": session.connection().info.user, "schemas": ["vectrue"]}
    _, unusable, unreadable, _ = session.rows(queries.text("missing_rights"), parameters)[0]
    denied = bool(unusable or unreadable)
    for one in findings:
        refused = (
            denied and one.level is Level.PROBLEM and one.check != RIGHTS and DENIED in one.sentence
        )
        yield replace(one, part=_UNREAD, follows=(*one.follows, RIGHTS)) if refused else one


def _server(facts: Server, role: str) -> Iterator[CheckResult]:
    wrong = server.problems(facts, role, setting_up=False)
    for error in wrong:
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


def _table(
    session: Session,
    table: TableSettings,
    facts: Server,
    wanted: ExpectedModel,
    found: list[Examined],
    refused: Container[TableName],
) -> Iterator[CheckResult]:
    name = f"table {table.name}"
    column = catalog.inspect(session, table.table).columns.get(table.column, {})
    # another length than the model's is a finding of its own
    declared = int(column.get("typmod", -1))
    try:
        examined = neighbour.examine(
            session,
            table,
            facts,
            worker=facts.role,
            model=wanted.model_id or "",
            changing=False,
            dimensions=declared if declared > 0 else wanted.dimensions,
        )
    except ConfigurationError:
        if table.table in refused:  # which is said already
            return
        raise
    found.append(examined)
    key = ", ".join(column.name for column in examined.target.key)
    yield ok(name, f"key {key}; the text is valid; no row is hidden from role {facts.role}")
    for notice in examined.notices:
        yield warning(name, notice)
    missing = schema.provenance(session, examined)
    for statement in missing:
        yield problem(name, f"lacks columns ({statement.description})", INIT, follows=[FOUNDED])


def _bookkeeping(
    session: Session, settings: Settings, tables: Sequence[Examined], wanted: ExpectedModel
) -> Iterator[CheckResult]:
    pending = schema.migrations(session)
    if not schema.exists(session, "vectrue.migrations"):
        database = session.connection().info.dbname
        yield problem(
            SCHEMA, f"`vectrue init` was not run in database {database}", INIT, part=FOUNDED
        )
        return
    under_way = {(made.table, made.column): made for made in migration.read(session)}
    targets = [
        examined.target for examined in tables if not _is_under_way(examined.target, under_way)
    ]
    targets = [target for target in targets if not _is_behind(session, target, wanted)]
    counted = [column for examined in tables for column in _columns(examined.target, under_way)]
    if not pending:
        for one in log_watch.differences(session, settings):
            if one.about == FOUNDED:
                yield problem(SCHEMA, one.sentence, one.fix, part=FOUNDED)
                return
        if wanted.record is not None:
            statements, notices = schema.registrations(
                session, targets, wanted.record, lambda query: int(session.rows(query)[0][0])
            )
            pending += [statement for statement in statements if not notices]
            lengths_differ = tuple(length(str(t.table), t.column) for t in targets)
            yield from (
                replace(one, follows=lengths_differ)
                for one in _another_model(targets, wanted, notices)
            )
        if wanted.model_id is not None and len(tables) == len(settings.tables):
            pending += counting.plan(session, settings.kafka.topic_prefix, counted)
    yield from _to_do("schema vectrue", pending, "is up to date, and wants this model")


_UnderWay = Mapping[tuple[TableName, str], ColumnMigration]


def _is_under_way(target: Target, under_way: _UnderWay) -> bool:
    """Whether a migration, and not the settings, says which model its columns want."""
    return (target.table, target.column) in under_way


def _is_behind(session: Session, target: Target, wanted: ExpectedModel) -> bool:
    """Whether it is yet to follow other columns to the settings' model, which the line
    about its length says.
    """
    asked = {"table": str(target.table), "column": target.column}
    ways = migration.read(session, finished=True)
    lines = session.rows(queries.text("wanted_target"), asked)
    return any(is_behind(str(model), wanted.model_id, ways) for model, *_ in lines)


def _columns(target: Target, under_way: _UnderWay) -> Iterator[Target]:
    """The column, and the one beside it while it is on its way to another model."""
    yield target
    made = under_way.get((target.table, target.column))
    if made is not None and made.beside is not None:
        yield replace(target, column=made.beside)


def _another_model(
    targets: Sequence[Target], wanted: ExpectedModel, notices: Sequence[str]
) -> Iterator[CheckResult]:
    """Where the settings name another model than the database wants; `init` would take
    one of the same length only.
    """
    said = "the settings name another one than the database wants"
    if notices and any(target.dimensions != wanted.dimensions for target in targets):
        yield problem(
            "model", f"{said}, of another length", "do what the lines about dimensions say"
        )
        return
    for notice in notices:
        yield problem(
            "model", f"{said} ({notice})", "correct [model], or vectrue init to want that one"
        )


def _rights(
    session: Session, settings: Settings, facts: Server, tables: Sequence[Examined]
) -> Iterator[CheckResult]:
    triggers = settings.postgres.fire_triggers
    grantee = grants.Grantee(session, facts.role)
    # Nobody has a right on a column that is not there, which the table's own line says.
    whole = [examined for examined in tables if not schema.provenance(session, examined)]
    asked = score_rights.asked(session, settings, whole)
    lacking, notices = grants.plan(
        grantee, facts, whole, asked, schema_changes=False, fire_triggers=triggers
    )
    # else they have a line of their own
    if not any(capture.origins(session, settings.postgres.origin, facts)):
        for notice in notices:
            yield warning("rights", notice, follows=SET_UP)
    ledger = [one for one in lacking if one.description.endswith(grants.LEDGER)]
    for these, follows in (
        ([one for one in lacking if one not in ledger], SET_UP),
        (ledger, (*SET_UP, SCHEMA)),
    ):
        said = "; ".join(statement.description for statement in these)
        if these:
            yield problem(
                RIGHTS,
                f"missing: {said}",
                "vectrue init, as an owner of the tables",
                follows=follows,
            )
    for function, owner in session.rows(queries.text("function_of_others"), {"role": facts.role}):
        said = (
            f"{facts.role} is a superuser: {function} of role {owner}, once a text calls it, "
            "runs as one"
        )
        yield warning("rights", said, trust.SEPARATE)
    if not lacking and len(tables) == len(settings.tables):
        yield ok(RIGHTS, f"role {facts.role} has what a worker needs")
    elif not lacking:
        yield unknown(
            RIGHTS,
            "a table has a problem",
            follows=[f"table {table.name}" for table in settings.tables],
        )


def _publication(
    session: Session, settings: Settings, tables: Sequence[Examined]
) -> Iterator[CheckResult]:
    name, check = settings.postgres.publication, Needs(settings).publication
    if not session.rows("SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)):
        yield problem(
            check, f"there is no publication {name}: nothing is captured", INIT, follows=SET_UP
        )
        return
    sound = {examined.target.table for examined in tables}
    failing = [table.table for table in settings.tables if table.table not in sound]
    shape = watched.read(session, settings)
    differing = [
        one.difference.sentence
        for one in watched.found(shape, settings)
        if one.difference.about == check and one.table not in failing
    ]
    if failing:  # its whole list cannot be compared: it may rightly publish them
        if differing:
            yield problem(check, "; ".join(differing), INIT, follows=SET_UP)
        else:
            yield unknown(
                check, "a table has a problem", follows=[f"table {table}" for table in failing]
            )
        return
    if left := dict.fromkeys(table for table, _ in others.leaving(session, settings)):
        # `init` with these settings would take them out, or refuse to.
        said = (
            f"publishes {', '.join(left)} too, which another settings file of this installation "
            "lists"
        )
        yield warning(check, said, "list them in [[tables]], or leave it so: they are kept true")
        if differing:
            yield problem(
                check,
                "; ".join(differing),
                f"{INIT} with the file that lists every table",
                follows=SET_UP,
            )
        return
    columns = settings.postgres.publication_columns
    statements, _ = capture.publication(session, name, tables, columns=columns)
    for notice in capture.unlisted(tables) if columns == "keys" else ():
        yield warning(check, notice)
    for statement in statements:
        said = "; ".join([f"to do: {statement.description}", *differing])
        yield problem(check, said, INIT, follows=SET_UP)
    if not statements:
        yield ok(check, "publishes the configured tables")


def _origins(session: Session, settings: Settings, facts: Server) -> Iterator[CheckResult]:
    statements, notices = capture.origins(session, settings.postgres.origin, facts)
    for said in [statement.description for statement in statements] + notices:
        words = f"own writes come back as events, one look-up each ({said})"
        yield warning("replication origins", words, INIT, follows=[*SET_UP, SCHEMA, RIGHTS])
    if not statements and not notices:
        yield ok("replication origins", f"{settings.postgres.origin}_0 and its sisters are there")


def _slot(settings: Settings, facts: Server, witnessed: Witness) -> Iterator[CheckResult]:
    needs = Needs(settings)
    check = needs.slot
    idle = partial(problem, check, part=READER, follows=needs.reader)
    seen, still = witnessed.slot, witnessed.slot.standstill_seconds
    held = "-" if seen.retained_bytes is None else f"{seen.retained_bytes / 2**20:,.1f} MiB"
    if seen.error is not None:
        yield unknown(check, seen.error, follows=SET_UP)
    elif seen.state == "missing":
        yield problem(check, "is not there: nothing is captured", INIT, follows=SET_UP)
    elif seen.wal_status == "lost":
        yield problem(
            check, "is lost: the server has removed the log it needs, and nothing is captured", INIT
        )
    elif seen.wal_status == "unreserved":
        yield problem(
            check,
            f"is about to be lost: it holds {held}, more than it may",
            "start its connector at once",
            part=READER,
        )
    elif seen.state == "inactive":
        yield idle(
            f"is read by nobody, and holds {held} of disk", "start its connector: vectrue init"
        )
    elif still is not None and still > witnessed.slot_seconds:
        words = (
            f"has stood still for {show_duration(still)} while the log moves, and holds {held} "
            "of disk"
        )
        yield idle(words, "see the log of Kafka Connect")
    else:
        yield ok(check, f"is read; it holds {held} of disk")
    if facts.slot_limit == "-1":
        yield warning(
            "max_slot_wal_keep_size",
            "is -1: a slot that nobody reads can fill the server's disk",
            _LIMIT,
        )
    else:
        yield ok("max_slot_wal_keep_size", facts.slot_limit)


def _heartbeat(session: Session, settings: Settings) -> Iterator[CheckResult]:
    founded = schema.exists(session, "vectrue.heartbeat")
    lines = session.rows(queries.text("heartbeat_age")) if founded else []
    needed = (*KEPT, *Needs(settings).reader, READER)
    if not lines:
        yield problem("heartbeat", "no heartbeat was ever written", INIT, follows=needed)
        return
    age, every = float(lines[0][0]), settings.connect.heartbeat_seconds
    if age > _BEATS * every + _SLOW_SECONDS:
        yield problem(
            "heartbeat",
            f"the connector's last one is {age:,.0f} s old, and one is due every {every} s",
            "see the lines about the connector",
            follows=needed,
        )
    else:
        # It is written although nothing is delivered: whether changes arrive, the
        # canary says.
        yield ok(
            "heartbeat",
            f"the connector wrote to the database {max(age, 0.0):.1f} s ago, which moves the slot",
        )


def _to_do(check: str, statements: Sequence[Statement], fine: str) -> Iterator[CheckResult]:
    if statements:
        said = "; ".join(statement.description for statement in statements)
        yield problem(check, f"to do: {said}", INIT)
    else:
        yield ok(check, fine)
