"""`vectrue init`: everything that must exist before a worker starts.

First the checks, of all tables and all services; then the database, the topics and the
connector, in this order, so that no change is missed: columns and publication before
the slot, the slot before the connector.

Hazard: an `init` may be interrupted anywhere. Each step is safe to repeat, and what
follows from a step is asked for before it.
"""

from collections.abc import Callable, Sequence
from contextlib import closing

from connectors.debezium import releases
from connectors.debezium.client import KafkaConnect
from connectors.kafka import topics
from connectors.ports import Clock, Embedder
from connectors.postgres import statement
from connectors.postgres.audit import coverage, textless
from connectors.postgres.checks import trust
from connectors.postgres.session import Session
from connectors.postgres.setup import installation, meaning
from schemas.errors import ConfigurationError
from schemas.reports.coverage import Coverage
from schemas.settings.reading import Settings
from streams.setup import start_capture, takeover
from streams.setup.connection import admin, alone, worker_role
from streams.setup.init_report import InitReport
from streams.setup.plan import SetupPlan, plan
from streams.setup.takeover import Agree

Tell = Callable[[str], None]


def script(planned: SetupPlan, settings: Settings) -> str:
    """Return the plan as a script for psql."""
    heading = (
        f"What `vectrue init` would do in database {planned.server.database}.\n"
        "Run it as the owner of the tables: psql -v ON_ERROR_STOP=1 -f FILE\n"
        "Then run `vectrue init`, which makes the topics and the connector."
    )
    return statement.script(
        planned.statements,
        lock_seconds=settings.postgres.lock_timeout_seconds,
        heading=heading,
    )


def print_sql(
    settings: Settings, embedder: Embedder, agree: Agree = takeover.refuse
) -> tuple[str, tuple[str, ...]]:
    """Return the script and the notices; changes nothing.

    Neither Kafka nor Kafka Connect is needed.

    Args:
        settings: all of them.
        embedder: as for `plan`.
        agree: as for `plan`.

    Raises:
        ConfigurationError, TransientError: as `plan`.
    """
    with closing(admin(settings)) as session:
        planned = plan(settings, embedder, session, agree)
        return script(planned, settings), planned.notices


def run(
    settings: Settings,
    embedder: Embedder,
    clock: Clock,
    tell: Tell,
    agree: Agree = takeover.refuse,
) -> InitReport:
    """Do what is missing, and return when changes are captured.

    Args:
        settings: all of them.
        embedder: as for `plan`.
        clock: for pauses and deadlines.
        tell: called with one line for each change, when it is made.
        agree: asked before a table or a connector that is in use is taken.

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
            return _Setup(settings, session, connect, clock, tell).run(embedder, agree)
    finally:
        connect.close()
        session.close()


class _Setup:
    """One run of `init`, which keeps the lines that it has told."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        connect: KafkaConnect,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._settings = settings
        self._session = session
        self._connect = connect
        self._clock = clock
        self._tell = tell
        self._changed: list[str] = []

    def run(self, embedder: Embedder, agree: Agree) -> InitReport:
        settings, session, connect = self._settings, self._session, self._connect
        # All checks before the first change.
        planned, config, before = self._checked(embedder, agree)
        # A slot cannot be dropped while the connector reads it.
        if planned.replaces_slot:
            connect.stop(settings.connector)
        self._execute(planned.statements)
        # Topics before the connector, which writes to them at once.
        made = topics.ensure(settings, planned.names, self._clock)
        for name in made:
            self._done(f"create the topic {name}")
        notices = list(planned.notices)
        if before.taken:
            notices.append(before.taken)
        start = start_capture.Start(
            settings, session, connect, self._clock, planned.names, planned.published
        )
        notices += start.run(
            config,
            before,
            made,
            new_slot=planned.new_slot,
            done=self._done,
            changed=self._changed,
        )
        # Last: an `init` that is interrupted has not set up what these lines say.
        database = start_capture.database(settings, session)
        self._execute(installation.registration(session, settings, database))
        self._execute(meaning.registration(session, settings))
        notices += self._hazards(planned)
        return reported(session, settings, planned, self._changed, notices)

    def _checked(
        self, embedder: Embedder, agree: Agree
    ) -> tuple[SetupPlan, dict[str, str], takeover.Before]:
        """Return the plan, the connector's configuration, and what existed before."""
        settings, session, connect = self._settings, self._session, self._connect
        too_large = start_capture.stands_before_a_large_event(settings, connect)
        planned = plan(settings, embedder, session, agree, too_large=too_large)
        topics.check(settings, planned.names)
        connect.check()
        targets = [examined.target for examined in planned.tables]
        config = start_capture.configuration(settings, session, targets, planned.server.major)
        before = takeover.look(settings, session, connect, config)
        takeover.consent(before, settings, session, self._clock, agree)
        return planned, config, before

    def _hazards(self, planned: SetupPlan) -> list[str]:
        """Return what topics and Debezium's release have that may lose events."""
        notices = list(topics.differing(self._settings, planned.names))
        lost = releases.hazard(self._connect.version() or "")
        if lost:
            notices.append(f"{lost}: {releases.FIX}")
        return notices

    def _execute(self, steps: Sequence[statement.Statement]) -> None:
        limit = self._settings.postgres.lock_timeout_seconds
        for step in steps:
            statement.run(self._session, step, lock_seconds=limit, clock=self._clock)
            self._done(step.description)

    def _done(self, line: str) -> None:
        self._changed.append(line)
        self._tell(line)


def reported(
    session: Session,
    settings: Settings,
    planned: SetupPlan,
    changed: Sequence[str],
    notices: Sequence[str],
) -> InitReport:
    """Return what was done and the coverage, counted as the workers' role.

    Args:
        session: the connection that makes the changes.
        settings: all of them.
        planned: the plan.
        changed: a line for each change.
        notices: what the operator should know.
    """
    role = worker_role(settings, session)
    try:
        with closing(trust.Reader(settings, session, role)) as reader:
            counted, bare = _counted(reader.session(), settings, planned)
    except ConfigurationError as error:
        # The workers meet the same error, but everything is set up nevertheless.
        said = f"the rows were not counted, and workers will meet the same ({error.message})"
        if error.fix is not None:
            said += f": {error.fix}"
        return InitReport(tuple(changed), (*notices, said), ())
    return InitReport(tuple(changed), (*notices, *bare), tuple(counted))


def _counted(
    session: Session, settings: Settings, planned: SetupPlan
) -> tuple[list[Coverage], list[str]]:
    seen = coverage.look(session, settings, set(map(str, planned.names)))
    # Only the first: workers stop at any of them.
    for error in seen.unseen.values():
        raise error
    columns, found = textless.fill(session, seen.columns, seen.targets)
    sentences: list[str] = []
    for one in found:
        if one.sentence:
            sentences.append(one.sentence)
    return columns, sentences
