"""Check everything in the database, and plan what it lacks before a worker can start.

Hazard: the plan is made from what exists, so a second run finds nothing to do. A step
that cannot tell what exists would break that promise.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from connectors.models import open_model
from connectors.ports import Embedder
from connectors.postgres.checks import neighbour, server, trust
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.ledger import looks
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from connectors.postgres.setup import (
    capture,
    counting,
    grants,
    meaning,
    others,
    schema,
    score_rights,
)
from connectors.postgres.setup.counting import VectorColumn
from connectors.postgres.statement import Statement
from schemas.errors import ConfigurationError
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.common import targets as target_rules
from streams.common.targets import WantedColumn
from streams.setup import joined, takeover
from streams.setup.connection import worker_role
from streams.setup.takeover import Agree


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What the database lacks.

    Attributes:
        statements: in the order in which they must run.
        notices: what the operator should know.
        tables: the configured tables, examined.
        server: the server.
        new_slot: whether the slot is made by this plan, so that old offsets of the
            connector mean nothing.
        replaces_slot: whether an unusable slot is dropped first, which its reader must
            have released.
        published: the tables that were published before; None when there was no
            publication.
    """

    statements: tuple[Statement, ...]
    notices: tuple[str, ...]
    tables: tuple[Examined, ...]
    server: Server
    new_slot: bool
    replaces_slot: bool
    published: frozenset[TableName] | None = None

    @property
    def names(self) -> list[TableName]:
        """The tables, each once."""
        tables: dict[TableName, None] = {}
        for examined in self.tables:
            tables[examined.target.table] = None
        return list(tables)


@dataclass(slots=True)
class _PlanParts:
    """What a plan is put together from."""

    notices: list[str]
    statements: list[Statement] = field(default_factory=list)

    def add(self, statements: Iterable[Statement], notices: Iterable[str] = ()) -> None:
        self.statements += statements
        self.notices += notices


def plan(
    settings: Settings,
    embedder: Embedder,
    session: Session,
    agree: Agree = takeover.refuse,
    *,
    too_large: bool = False,
) -> SetupPlan:
    """Check everything in the database, and list what it lacks; changes nothing.

    Args:
        settings: all of them.
        embedder: its id and dimensions are what the tables will want; its weights are
            not needed.
        session: connection of the role that will make the changes.
        agree: asked before a table is left out that was kept true until now.
        too_large: whether the connector failed at an event that is too large, and has
            to skip it.

    Raises:
        ConfigurationError: a table or the server cannot be worked with, or something
            would be taken from another installation; with what to do.
        TransientError: Postgres does not answer.
    """
    if not settings.tables:
        raise ConfigurationError(
            "no [[tables]] configured",
            fix="add [[tables]] with name and text to vectrue.toml",
        )
    prefix = settings.kafka.topic_prefix
    role = worker_role(settings, session)
    facts = server.check(session, role)
    sessions = meaning.own(session, role)
    # Before anything is examined: texts must mean the same here as in the workers.
    session.pin(sessions)
    wanted = target_rules.wanted(settings, session, embedder)
    tables = _examined(session, facts, role, wanted)
    parts = _PlanParts(server.notices(facts))
    parts.notices += meaning.changes(session, prefix, sessions)
    for examined in tables:
        parts.notices += examined.notices
    _add_lines(parts, settings, session, facts, embedder, tables, agree)
    # After all that changes the schema: new tables need rights too.
    changes = bool(parts.statements)
    parts.add(*_grants(settings, session, facts, tables, schema_changes=changes))
    # Read before the plan runs, which puts all tables into the publication.
    published = joined.published(session, settings.postgres.publication)
    captured = _add_capture(parts, settings, session, facts, tables, too_large=too_large)
    return SetupPlan(
        statements=tuple(parts.statements),
        notices=tuple(dict.fromkeys(parts.notices)),
        tables=tables,
        server=facts,
        new_slot=captured.made,
        replaces_slot=captured.replaced,
        published=None if published is None else frozenset(published),
    )


def _add_lines(
    parts: _PlanParts,
    settings: Settings,
    session: Session,
    facts: Server,
    embedder: Embedder,
    tables: Sequence[Examined],
    agree: Agree,
) -> None:
    """Add the bookkeeping, without what other installations and old settings left."""
    dead = others.check(others.read(session, settings), settings)
    leaving = _leaving(settings, session, agree)
    for name in dead:
        said = f"the installation {name} no longer works in this database"
        parts.notices.append(f"{said}: its lines are deleted")
    _add_bookkeeping(parts, settings, session, facts, embedder, tables, leaving=leaving, dead=dead)
    # A table may leave with one column and stay with another.
    gone = {TableName.parse(table) for table, _ in leaving}
    for table in settings.tables:
        gone.discard(table.table)
    parts.add(looks.forgetting(session, settings.kafka.topic_prefix, gone))


def bookkeeping(settings: Settings, session: Session) -> list[Statement]:
    """Plan provenance, targets, the view that counts and the worker's rights only.

    Those are what the columns of an open migration may lack.

    Args:
        settings: all of them.
        session: connection of the role that will make the changes.

    Raises:
        ConfigurationError, TransientError: as `plan`.
    """
    role = worker_role(settings, session)
    facts = server.check(session, role)
    embedder = open_model(settings.model)
    wanted = target_rules.wanted(settings, session, embedder)
    tables = _examined(session, facts, role, wanted)
    parts = _PlanParts([])
    _add_bookkeeping(parts, settings, session, facts, embedder, tables)
    parts.add(*_grants(settings, session, facts, tables, schema_changes=True))
    return parts.statements


def _examined(
    session: Session, facts: Server, role: str, columns: Sequence[WantedColumn]
) -> tuple[Examined, ...]:
    found: list[Examined] = []
    for column in columns:
        examined = neighbour.examine(
            session,
            column.table,
            facts,
            worker=role,
            model=column.model,
            dimensions=column.dimensions,
        )
        found.append(examined)
    return tuple(found)


def _leaving(settings: Settings, session: Session, agree: Agree) -> list[VectorColumn]:
    """Return the columns that are kept true now and not listed; refused unless agreed."""
    found = others.leaving(session, settings)
    if not found:
        return []
    listed = {table.name for table in settings.tables}
    names: dict[str, None] = {}
    tables: set[str] = set()
    for table, column in found:
        tables.add(table)
        name = f"{table}.{column}" if table in listed else table
        names[name] = None
    said = (
        f"{', '.join(names)} would leave the publication {settings.postgres.publication}, "
        f"the connector {settings.connector} and the counts: no vector there would be kept "
        "true any more"
    )
    moving: list[str] = []
    for made in migration.read(session):
        if (str(made.table), made.column) in found:
            moving.append(made.name)
    if moving:
        said += f"; a migration of {', '.join(moving)} is under way"
    if not agree(said):
        one = "it" if len(tables) == 1 else "them"
        raise ConfigurationError(
            said,
            fix=f"add {one} to [[tables]], or run `vectrue init --yes` to leave {one} out",
        )
    return found


def _add_bookkeeping(
    parts: _PlanParts,
    settings: Settings,
    session: Session,
    facts: Server,
    embedder: Embedder,
    tables: Sequence[Examined],
    *,
    leaving: Sequence[VectorColumn] = (),
    dead: Sequence[str] = (),
) -> None:
    targets = [examined.target for examined in tables]
    parts.add(schema.migrations(session))
    for examined in tables:
        parts.add(schema.provenance(session, examined))
    parts.add(schema.functions(session, targets, facts.vector_schema or "public"))
    role = worker_role(settings, session)
    # Rows are counted as the workers' role: the owner must not evaluate their texts.
    with closing(trust.Reader(settings, session, role)) as reader:
        parts.add(*schema.registrations(session, targets, embedder.record, reader.value))
    prefix = settings.kafka.topic_prefix
    parts.add(counting.plan(session, prefix, targets, leaving=leaving, dead=dead))


def _grants(
    settings: Settings,
    session: Session,
    facts: Server,
    tables: Sequence[Examined],
    *,
    schema_changes: bool,
) -> tuple[list[Statement], list[str]]:
    """Plan what the workers' role lacks."""
    grantee = grants.Grantee(session, worker_role(settings, session))
    # Asked always: it refuses a score.where that is not a condition.
    asked = score_rights.asked(session, settings, tables)
    # An owner needs no rights on what is its own.
    if grantee.role == facts.role:
        return [], []
    return grants.plan(
        grantee,
        facts,
        tables,
        asked,
        schema_changes=schema_changes,
        fire_triggers=settings.postgres.fire_triggers,
    )


def _add_looks(
    parts: _PlanParts, settings: Settings, session: Session, tables: Sequence[Examined]
) -> None:
    names = [examined.target.table for examined in tables]
    published = joined.published(session, settings.postgres.publication)
    # Before the publication: an interrupted `init` must not forget who joined it.
    for table, why in joined.unpublished(published, names).items():
        parts.add([looks.asking(session, settings.kafka.topic_prefix, [table], why)])


def _add_capture(
    parts: _PlanParts,
    settings: Settings,
    session: Session,
    facts: Server,
    tables: Sequence[Examined],
    *,
    too_large: bool,
) -> capture.SlotPlan:
    postgres = settings.postgres
    parts.add(*capture.origins(session, postgres.origin, facts))
    _add_looks(parts, settings, session, tables)
    columns = postgres.publication_columns
    # Columns and publication before the slot: a slot decodes each change with the
    # publication as it was then.
    publication, is_new = capture.publication(
        session, postgres.publication, tables, columns=columns
    )
    parts.add(publication, capture.unlisted(tables) if columns == "keys" else ())
    beats = schema.exists(session, "vectrue.heartbeat")
    parts.add(capture.heartbeat(session, founded=beats))
    founded = others.is_founded(session, settings)
    planned = capture.slot(
        session,
        settings,
        facts,
        new_publication=is_new,
        founded=founded,
        too_large=too_large and not is_new,
    )
    parts.add(planned.statements, planned.notices)
    return planned
