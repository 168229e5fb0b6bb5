"""`vectrue migrate`: move vector columns to another model while readers go on reading.

    start      the new vectors get a column beside the old one; workers fill both from then on
    (replay)   `vectrue replay run` fills the rows that were there before
    index      the old column's indexes are built again on the new one
    swap       the new column takes the old one's name; rollback gives it back
    finish     the old column is dropped

The state is in the database (`vectrue.column_migrations`), and every step is decided
for each column by its own state. First it looks at all tables of its scope for what
blocks it (`check`); then it is one transaction over all of them. A step that was killed
is called again; one that comes too early names the one before it.

Hazard: workers notice a step by looking at vectrue.targets every few seconds, and
restart with the models it wants. Until then they write nothing into a column that has
changed its model (the write's WHERE), so nothing is mixed; what they miss is stale, and
the gate of `swap` counts it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing

from connectors.models import by_flag, describe_model
from connectors.ports import Clock, Embedder
from connectors.postgres import statement
from connectors.postgres.migrations import migration
from connectors.postgres.session import Session
from connectors.postgres.setup import counting, schema
from connectors.postgres.statement import Statement
from schemas.errors import TransientError, VectrueError
from schemas.reports.migration import (
    ColumnMigration,
    MigrationState,
    MigrationStep,
    openings,
)
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.common import targets as target_rules
from streams.migration import check, exchange, gate, in_flight, replays, workers
from streams.migration import start as migration_start
from streams.migration.next_step import leading, still_to_follow
from streams.migration.obstacles import Obstacles
from streams.migration.start import Pair
from streams.migration.step_columns import StepColumns
from streams.setup import connection

Tell = Callable[[str], None]


class Migrate:
    """The steps, each for all tables of its scope at once."""

    def __init__(
        self,
        settings: Settings,
        session: Session,
        clock: Clock,
        tell: Tell,
        tables: Sequence[str] | None = None,
    ) -> None:
        """Take steps over this connection.

        Args:
            settings: all of them.
            session: of the tables' owner; guarded, where that role may do more than the
                workers'.
            clock: for the pauses between attempts to get a lock.
            tell: called with one line for each change, when it is made.
            tables: names of the tables to move; None: all configured tables.
        """
        self._settings = settings
        self._session = session
        self._clock = clock
        self._tell = tell
        self._columns = StepColumns(settings, session, tables or ())

    @property
    def flags(self) -> str:
        """The scope as it was typed: nothing, or ` -t public.questions`."""
        return self._columns.flags

    def open(self) -> list[ColumnMigration]:
        """Return the columns of the scope that are under way.

        Raises:
            ConfigurationError: a named table is not configured.
        """
        return self._columns.open()

    def start(
        self, model: ModelSettings, *, offline: bool = False, freeze_old: bool = False
    ) -> None:
        """Have another model wanted: beside the old one, or (offline) in its place.

        Columns that are moving to another model already, or are further on, are left as
        they are where there are others.

        Args:
            model: the new model, as flags name it; its files must be here, since its id
                is made of them.
            offline: empty the column itself.
            freeze_old: leave the old vectors as they are from now on.

        Raises:
            VectrueError: there is no column to start with, something blocks it, or the
                settings do not name the model to move from; nothing was changed.
        """
        # Before the lock: opening a model takes seconds.
        embedder = by_flag.opened(model)
        present = describe_model(self._settings.model).model_id
        with connection.alone(self._session):
            self._prepare()
            served = target_rules.served(self._columns.settings, self._session)
            saved = openings(migration.read(self._session, finished=True))
            chosen = migration_start.choose(
                served, self.open(), embedder, present, saved=saved, offline=offline
            )
            for why in chosen.left:
                self._tell(f"{why.message}: it is left as it is")
            fresh: list[Pair] = []
            for target in chosen.fresh:
                old = self._settings.model.opened_as(saved.get(target.model, {}))
                models = (old, model)
                made = migration_start.planned(
                    self._session, target, embedder, models, offline=offline, frozen=freeze_old
                )
                fresh.append((target, made))
            running = self._start(embedder, fresh, chosen.again, freeze=freeze_old)
        # After the lock: other commands must not wait for the workers.
        workers.wait(self._session, self._clock, self._tell, running)

    def _prepare(self) -> None:
        """Refuse a start that cannot work, and bring an older schema up to date."""
        migration.require_known(self._session)
        check.refuse_lost_tables(self._settings, self._session)
        # What follows reads the columns of this version's tables.
        for step in schema.migrations(self._session):
            self._run(step, "start")

    def _start(
        self, embedder: Embedder, fresh: Sequence[Pair], again: Sequence[Pair], *, freeze: bool
    ) -> Mapping[int, str]:
        """Start these columns in one transaction; return the workers that ran before."""
        self._refuse_to_start(fresh, again)
        steps = migration_start.plan(
            self._columns.settings,
            self._session,
            embedder.record,
            fresh,
            again,
            freeze=freeze,
        )
        offline: list[ColumnMigration] = []
        for _, made in fresh:
            if made.offline:
                offline.append(made)
        if offline:
            self._stop_replays(offline)
        # Before the transaction: workers end as soon as they see what it changed.
        running = workers.there(self._session)
        if steps:
            changed = [target.table for target, _ in (*fresh, *again)]
            self._run(migration.together(self._session, changed, steps), "start", steps)
        return running

    def _refuse_to_start(self, fresh: Sequence[Pair], again: Sequence[Pair]) -> None:
        """Refuse a start that something blocks."""
        obstacles = Obstacles(self._session)
        obstacles.ours()
        # What was started whole is not changed again.
        halves = [pair for pair in again if migration_start.is_half(*pair)]
        for _, made in (*fresh, *halves):
            if made.offline:
                obstacles.rewriting(made)
            else:
                obstacles.adding(made)
        obstacles.refuse("start the migration", f"`vectrue migrate start ...{self.flags}` again")

    def to_follow(self) -> str | None:
        """Return which tables have to start too before any can be finished; None: none."""
        found = self.open()
        goals = {made.to_model for made in found}
        behind = in_flight.behind(self._settings, self._session, goals)
        if not found or not behind:
            return None
        said = still_to_follow(behind, found[0].to_model)
        command = leading(found[0], behind).typed()
        return f"{said}, and nothing can be finished before: {command}"

    def swap(self, *, without: Collection[str] | None = frozenset()) -> None:
        """Serve the new columns: one short transaction, once every row of them is true.

        Args:
            without: indexes that may be left behind, as IndexesLacking names them;
                None: any.

        Raises:
            IndexesLacking: others have no twin.
            VectrueError: rows or indexes are missing, or a replay is under way; the
                message names the next command.
            TransientError: the locks were not free; nothing has changed.
        """
        with connection.alone(self._session):
            found = self._columns.require(MigrationStep.SWAP)
            waiting: list[ColumnMigration] = []
            for made in found:
                # A swap that was repeated finds its columns swapped.
                if made.state is MigrationState.STARTED:
                    waiting.append(made)
            if not waiting:
                return
            self._gate(waiting, without)
            check.obstacles(self._session, MigrationStep.SWAP, waiting, self.flags)
            self._stop_replays(waiting)
            # Before the exchange, so that no search runs without statistics.
            self._analyze(waiting)
            exchanged = exchange.statement(self._settings, self._session, waiting, back=False)
            after = exchange.after(self._settings, self._session, waiting)
            self._take(MigrationStep.SWAP, waiting, [exchanged], after=after)

    def intent(self, step: MigrationStep, wanted_model: str | None = None) -> check.Intent:
        """Say what `rollback` or `finish` will do, for the question before it.

        Args:
            step: which.
            wanted_model: for `finish`, as there.

        Raises:
            VectrueError: it is too early, or something blocks it.
        """
        found = self._columns.require(step)
        if wanted_model is not None:
            check.refuse_other_models(self._settings, self._session, found, wanted_model)
        return check.intent(self._session, step, found, self.flags)

    def rollback(self, asked: Sequence[ColumnMigration] | None = None) -> None:
        """Take each column one step back.

        After a swap the old vectors are served again; after a start the new ones are
        dropped.

        Args:
            asked: the columns when it was asked whether to go on; None: it was not asked.

        Raises:
            VectrueError: something blocks it; nothing was changed.
            TransientError: the locks were not free; nothing has changed.
        """
        with connection.alone(self._session):
            found = self._columns.require(MigrationStep.ROLLBACK)
            check.refuse_moved(asked, found)
            check.obstacles(self._session, MigrationStep.ROLLBACK, found, self.flags)
            gone = in_flight.gone(self._session, found)
            here: list[ColumnMigration] = []
            for made in found:
                if made not in gone:
                    here.append(made)
            # Before the columns change, under the names that the runs know.
            self._stop_replays(here)
            # Each column by its own state: those of one migration may differ.
            back: list[ColumnMigration] = []
            dropped: list[ColumnMigration] = []
            for made in here:
                if made.state is MigrationState.SWAPPED:
                    back.append(made)
                elif not made.offline:
                    dropped.append(made)
            steps = exchange.taken_back(self._settings, self._session, gone, here, back, dropped)
            after = exchange.after(self._settings, self._session, back)
            self._take(MigrationStep.ROLLBACK, here, steps, after=after, leaving=dropped)

    def finish(
        self,
        wanted_model: str,
        asked: Sequence[ColumnMigration] | None = None,
        *,
        without: Collection[str] | None = frozenset(),
    ) -> None:
        """Drop the old columns and end the migrations.

        Args:
            wanted_model: model id that the settings name; it alone counts when the
                migration has ended.
            asked: as for `rollback`.
            without: indexes that may go with the old column, as IndexesLacking names
                them; None: any.

        Raises:
            IndexesLacking: others have no twin.
            VectrueError: it is too early, the settings still name the old model, or
                something blocks it; nothing was changed.
        """
        with connection.alone(self._session):
            found = self._columns.require(MigrationStep.FINISH)
            check.refuse_moved(asked, found)
            check.refuse_other_models(self._settings, self._session, found, wanted_model)
            self._gate_of_finish(found, without)
            check.obstacles(self._session, MigrationStep.FINISH, found, self.flags)
            self._stop_replays(found)
            ended = migration.discard(self._session, found, MigrationState.FINISHED)
            self._take(MigrationStep.FINISH, found, [ended], leaving=found)

    def _gate_of_finish(
        self, found: Sequence[ColumnMigration], without: Collection[str] | None
    ) -> None:
        offline: list[ColumnMigration] = []
        online: list[ColumnMigration] = []
        for made in found:
            (offline if made.offline else online).append(made)
        if offline:
            self._gate(offline, without)
        # The rows of these passed the gate at `swap`.
        gate.require_indexes(self._session, online, without)

    def _gate(self, found: Sequence[ColumnMigration], without: Collection[str] | None) -> None:
        # As the workers' role, which evaluates the texts of rows; the owner must not.
        with closing(reader(self._settings)) as reading:
            gate.require_filled(self._settings, reading, self._clock, found)
        gate.require_indexes(self._session, found, without)

    def _stop_replays(self, found: Sequence[ColumnMigration]) -> None:
        replays.stop(self._session, found, self._tell)

    def _analyze(self, found: Sequence[ColumnMigration]) -> None:
        """Collect statistics of the new columns, which searches need from the swap on."""
        # Without statistics each search is an exact scan: seen with 50,000 rows.
        besides = {(made.table, made.beside) for made in found}
        tables = in_flight.only_tables_of(self._settings, found)
        for target in target_rules.resolve(tables, self._session):
            if (target.table, target.column) not in besides:
                continue
            step = migration.analyze(self._session, target)
            try:
                if step is not None:
                    self._run(step, "swap")
            except TransientError as error:
                # A long VACUUM holds the lock: slow searches for a while are better
                # than no swap.
                self._tell(
                    f"{error.message}: run ANALYZE {target.table}, or searches are slow "
                    "until autovacuum does"
                )

    def _take(
        self,
        step: MigrationStep,
        found: Sequence[ColumnMigration],
        parts: Sequence[Statement],
        *,
        after: Sequence[Target] = (),
        leaving: Sequence[ColumnMigration] = (),
    ) -> None:
        """Take a step: one transaction over these tables and the view that counts.

        Args:
            step: which.
            found: the columns whose tables are changed.
            parts: what is done to them.
            after: columns that are counted afterwards, under the names they have then.
            leaving: migrations whose column beside is dropped.
        """
        gone: list[tuple[str, str]] = []
        for made in leaving:
            if made.beside:
                gone.append((str(made.table), made.beside))
        prefix = self._settings.kafka.topic_prefix
        view = counting.plan(self._session, prefix, after, leaving=gone)
        tables = [made.table for made in found]
        # One transaction: readers see all tables before the step, or all after it.
        together = migration.together(self._session, tables, [*parts, *view])
        self._run(together, str(step), parts)

    def _run(self, step: Statement, verb: str, parts: Sequence[Statement] = ()) -> None:
        limit = self._settings.postgres.lock_timeout_seconds
        try:
            statement.run(self._session, step, lock_seconds=limit, clock=self._clock)
        except TransientError:
            # Not a refusal: the locks were not free, and calling again may get them.
            raise
        except VectrueError as error:
            raise VectrueError(
                f"Postgres refused to {step.description}, and nothing was changed: {error.message}",
                fix=f"fix what it names, then `vectrue migrate {verb}{self.flags}` again",
            ) from error
        for part in parts or [step]:
            self._tell(part.description)


def reader(settings: Settings) -> Session:
    """Return a connection that counts rows, as the workers' role."""
    prefix = settings.kafka.topic_prefix
    return Session(settings.postgres.dsn, role="migrate reader", prefix=prefix)
