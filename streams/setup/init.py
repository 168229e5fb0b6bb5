"""`vectrue init`: everything that must be there before a worker starts, made once and
kept as the settings say.

First the checks, of all tables and all services; then the database, the topics and the
connector, in this order, so that no change is missed: columns and publication before
the slot, the slot before the connector.

Hazard: the plan is made from what is there, so a second run finds nothing to do. A step
that cannot tell what is there would break that promise.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from connectors.debezium import releases
from connectors.debezium.client import KafkaConnect
from connectors.kafka import topics
from connectors.models import open_model
from connectors.ports import Clock, Embedder
from connectors.postgres import locks, statement
from connectors.postgres.audit import coverage, textless
from connectors.postgres.checks import neighbour, server, trust
from connectors.postgres.checks.neighbour import Examined
from connectors.postgres.checks.server import Server
from connectors.postgres.ledger import looks
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session, user_of
from connectors.postgres.setup import (
    capture,
    counting,
    grants,
    installation,
    meaning,
    others,
    schema,
    score_rights,
)
from connectors.postgres.setup.counting import Place
from connectors.postgres.statement import Statement
from schemas.errors import ConfigurationError
from schemas.reports.coverage import Coverage
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.common import targets as target_rules
from streams.common.targets import WantedColumn
from streams.setup import joined, start_capture, takeover
from streams.setup.init_report import InitReport
from streams.setup.takeover import Agree

Tell = Callable[[str], None]


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
        replaces_slot: whether an unusable slot goes first, which its reader must have
            let go of.
        published: the tables that were published before; None for a publication that
            was not there.
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
        return list(dict.fromkeys(examined.target.table for examined in self.tables))


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
        agree: asked before a table is left out that was kept until now.
        too_large: whether the connector failed at an event that is too large, and has
            to pass over it.

    Raises:
        ConfigurationError: a table or the server cannot be worked with, or something
            would be taken from another installation; the message says what mends it.
        TransientError: Postgres does not answer.
    """
    if not settings.tables:
        raise ConfigurationError(
            "no [[tables]] configured", fix="add [[tables]] with name and text to vectrue.toml"
        )
    role = worker(settings, session)
    facts = server.check(session, role)
    sessions = meaning.own(session, role)
    session.pin(sessions)
    tables = _examined(session, facts, role, target_rules.wanted(settings, session, embedder))
    parts = _Parts(
        [*server.notices(facts), *meaning.changes(session, settings.kafka.topic_prefix, sessions)]
    )
    for examined in tables:
        parts.notices += examined.notices
    dead = others.check(others.read(session, settings), settings)
    leaving = _leaving(settings, session, agree)
    parts.notices += [
        f"the installation {one} is no longer at work in this database: its lines go"
        for one in dead
    ]
    _add_bookkeeping(parts, settings, session, facts, embedder, tables, leaving=leaving, dead=dead)
    gone = {TableName.parse(table) for table, _ in leaving} - {
        table.table for table in settings.tables
    }
    parts.add(looks.forgetting(session, settings.kafka.topic_prefix, gone))
    parts.add(*_grants(settings, session, facts, tables, schema_changes=bool(parts.statements)))
    published = joined.published(session, settings.postgres.publication)
    captured = _add_capture(parts, settings, session, facts, tables, too_large=too_large)
    notices = tuple(dict.fromkeys(parts.notices))
    before = None if published is None else frozenset(published)
    return SetupPlan(
        tuple(parts.statements), notices, tables, facts, captured.made, captured.replaced, before
    )


def bookkeeping(settings: Settings, session: Session) -> list[Statement]:
    """Provenance, targets, the view that counts and the worker's rights, for the
    columns of an open migration.

    Raises:
        ConfigurationError, TransientError: as `plan`.
    """
    role = worker(settings, session)
    facts = server.check(session, role)
    embedder = open_model(settings.model)
    tables = _examined(session, facts, role, target_rules.wanted(settings, session, embedder))
    parts = _Parts([])
    _add_bookkeeping(parts, settings, session, facts, embedder, tables)
    parts.add(*_grants(settings, session, facts, tables, schema_changes=True))
    return parts.statements


def _grants(
    settings: Settings,
    session: Session,
    facts: Server,
    tables: Sequence[Examined],
    *,
    schema_changes: bool,
) -> tuple[list[Statement], list[str]]:
    """What the workers' role lacks; nothing where it is the connected one."""
    grantee = grants.Grantee(session, worker(settings, session))
    # always: it refuses a score.where that is no condition
    asked = score_rights.asked(session, settings, tables)
    triggers = settings.postgres.fire_triggers
    if grantee.role == facts.role:
        return [], []
    return grants.plan(
        grantee, facts, tables, asked, schema_changes=schema_changes, fire_triggers=triggers
    )


def _examined(
    session: Session, facts: Server, role: str, columns: Sequence[WantedColumn]
) -> tuple[Examined, ...]:
    return tuple(
        neighbour.examine(
            session, w.table, facts, worker=role, model=w.model, dimensions=w.dimensions
        )
        for w in columns
    )


@dataclass(slots=True)
class _Parts:
    """What a plan is put together from."""

    notices: list[str]
    statements: list[Statement] = field(default_factory=list)

    def add(self, statements: Iterable[Statement], notices: Iterable[str] = ()) -> None:
        self.statements += statements
        self.notices += notices


def _leaving(settings: Settings, session: Session, agree: Agree) -> list[Place]:
    """Columns that are kept now and not listed; refused unless that is meant."""
    found = others.leaving(session, settings)
    if not found:
        return []
    listed = {table.name for table in settings.tables}
    names = ", ".join(
        dict.fromkeys(f"{table}.{column}" if table in listed else table for table, column in found)
    )
    said = (
        f"{names} would leave the publication {settings.postgres.publication}, the connector "
        f"{settings.connector} and "
        "the counts: no vector there would be kept true any more"
    )
    if moving := [
        made.name for made in migration.read(session) if (str(made.table), made.column) in found
    ]:
        said += f"; a migration of {', '.join(moving)} is under way"
    if not agree(said):
        one = "it" if len(dict.fromkeys(table for table, _ in found)) == 1 else "them"
        raise ConfigurationError(
            said, fix=f"add {one} to [[tables]], or run `vectrue init --yes` to leave {one} out"
        )
    return found


def _add_bookkeeping(
    parts: _Parts,
    settings: Settings,
    session: Session,
    facts: Server,
    embedder: Embedder,
    tables: Sequence[Examined],
    *,
    leaving: Sequence[Place] = (),
    dead: Sequence[str] = (),
) -> None:
    targets = [examined.target for examined in tables]
    parts.add(schema.migrations(session))
    for examined in tables:
        parts.add(schema.provenance(session, examined))
    parts.add(schema.functions(session, targets, facts.vector_schema or "public"))
    with closing(trust.Reader(settings, session, worker(settings, session))) as reader:
        parts.add(*schema.registrations(session, targets, embedder.record, reader.value))
    prefix = settings.kafka.topic_prefix
    parts.add(counting.plan(session, prefix, targets, leaving=leaving, dead=dead))


def _add_capture(
    parts: _Parts,
    settings: Settings,
    session: Session,
    facts: Server,
    tables: Sequence[Examined],
    *,
    too_large: bool,
) -> capture.SlotPlan:
    parts.add(*capture.origins(session, settings.postgres.origin, facts))
    names = [examined.target.table for examined in tables]
    for table, why in joined.unpublished(
        joined.published(session, settings.postgres.publication), names
    ).items():
        parts.add([looks.asking(session, settings.kafka.topic_prefix, [table], why)])
    columns = settings.postgres.publication_columns
    publication, is_new = capture.publication(
        session, settings.postgres.publication, tables, columns=columns
    )
    parts.add(publication, capture.unlisted(tables) if columns == "keys" else ())
    parts.add(capture.heartbeat(session, founded=schema.exists(session, "vectrue.heartbeat")))
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


def script(plan: SetupPlan, settings: Settings) -> str:
    """The plan as a script for psql."""
    heading = (
        f"What `vectrue init` would do in database {plan.server.database}.\n"
        "Run it as the owner of the tables: psql -v ON_ERROR_STOP=1 -f FILE\n"
        "Then run `vectrue init`, which makes the topics and the connector."
    )
    return statement.script(
        plan.statements, lock_seconds=settings.postgres.lock_timeout_seconds, heading=heading
    )


def print_sql(
    settings: Settings, embedder: Embedder, agree: Agree = takeover.refuse
) -> tuple[str, tuple[str, ...]]:
    """The script and the notices; changes nothing and needs neither Kafka nor Connect."""
    session = admin(settings)
    try:
        made = plan(settings, embedder, session, agree)
        return script(made, settings), made.notices
    finally:
        session.close()


def run(
    settings: Settings, embedder: Embedder, clock: Clock, tell: Tell, agree: Agree = takeover.refuse
) -> InitReport:
    """Do what is missing, and return when changes are captured.

    Args:
        settings: all of them.
        embedder: as for `plan`.
        clock: for pauses and deadlines.
        tell: takes one line for each change, when it is made.
        agree: asked before anything is taken from what is at work: a table, or a
            connector.

    Raises:
        ConfigurationError: something cannot work; nothing was changed if a check found
            it.
        TransientError: a service does not answer, or a lock is not free.
        VectrueError: the connector failed, with its own message.
    """
    session = admin(settings)
    connect = KafkaConnect(settings.connect.url, clock)
    try:
        with alone(session):
            return _run(settings, embedder, clock, tell, agree, session, connect)
    finally:
        connect.close()
        session.close()


def admin(settings: Settings) -> Session:
    """The session that makes the changes; guarded, since it may be a superuser's."""
    prefix = settings.kafka.topic_prefix
    return Session(
        settings.postgres.admin, role="init", prefix=prefix, recorded=False, guard=trust.guard
    )


def _run(
    settings: Settings,
    embedder: Embedder,
    clock: Clock,
    tell: Tell,
    agree: Agree,
    session: Session,
    connect: KafkaConnect,
) -> InitReport:
    too_large = start_capture.stands_before_a_large_event(settings, connect)
    planned = plan(settings, embedder, session, agree, too_large=too_large)
    topics.check(settings, planned.names)
    connect.check()
    targets = [examined.target for examined in planned.tables]
    config = start_capture.configuration(settings, session, targets, planned.server.major)
    before = takeover.look(settings, session, connect, config)
    takeover.consent(before, settings, session, clock, agree)
    changed: list[str] = []

    def done(line: str) -> None:
        changed.append(line)
        tell(line)

    if planned.replaces_slot:
        connect.stop(settings.connector)
    for step in planned.statements:
        statement.run(
            session, step, lock_seconds=settings.postgres.lock_timeout_seconds, clock=clock
        )
        done(step.description)
    made = topics.ensure(settings, planned.names, clock)
    for name in made:
        done(f"create the topic {name}")
    notices = [*planned.notices, *filter(None, [before.taken])]
    start = start_capture.Start(settings, session, connect, clock, planned.names, planned.published)
    notices += start.run(
        config, before, made, new_slot=planned.new_slot, done=done, changed=changed
    )
    # Last: an `init` that is interrupted has not set up what these lines say.
    registrations = installation.registration(
        session, settings, start_capture.database(settings, session)
    )
    for step in registrations:
        statement.run(
            session, step, lock_seconds=settings.postgres.lock_timeout_seconds, clock=clock
        )
        done(step.description)
    for step in meaning.registration(session, settings):
        statement.run(
            session, step, lock_seconds=settings.postgres.lock_timeout_seconds, clock=clock
        )
        done(step.description)
    notices += topics.differing(settings, planned.names)
    if lost := releases.hazard(connect.version() or ""):
        notices.append(f"{lost}: {releases.FIX}")
    return reported(session, settings, planned, changed, notices)


def reported(
    session: Session,
    settings: Settings,
    planned: SetupPlan,
    changed: Sequence[str],
    notices: Sequence[str],
) -> InitReport:
    """How things stand, counted as the workers' role."""
    try:
        with closing(trust.Reader(settings, session, worker(settings, session))) as reader:
            counted, bare = _counted(reader.session(), settings, planned)
    # what the workers meet as well; everything is set up nevertheless
    except ConfigurationError as error:
        said = f"the rows were not counted, and workers will meet the same ({error.message})"
        return InitReport(
            tuple(changed), (*notices, said if error.fix is None else f"{said}: {error.fix}"), ()
        )
    return InitReport(tuple(changed), (*notices, *bare), tuple(counted))


def _counted(
    session: Session, settings: Settings, planned: SetupPlan
) -> tuple[list[Coverage], list[str]]:
    seen = coverage.look(session, settings, {str(name) for name in planned.names})
    for error in seen.unseen.values():
        raise error
    columns, found = textless.fill(session, seen.columns, seen.targets)
    return columns, [one.sentence for one in found if one.sentence]


def worker(settings: Settings, session: Session) -> str:
    """The role that the workers connect as; the connected one where postgres.dsn leaves
    the choice to libpq.
    """
    named = user_of(settings.postgres.dsn) if settings.postgres.admin_dsn else None
    return named or session.connection().info.user


@contextmanager
def alone(session: Session) -> Iterator[None]:
    """Hold the lock that lets one command at a time change a database (`init`,
    `migrate`), until the session is closed.

    There is none before the very first `init`; of two of those, one fails at what the
    other makes.

    Raises:
        TransientError: another one holds it.
    """
    if schema.exists(session, "vectrue.locks") and not locks.take(session, "init"):
        raise locks.refusal(session, "init")
    session.hold()
    yield
    session.release()
