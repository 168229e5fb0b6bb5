"""`vectrue migrate`: move vector columns to another model while readers go on reading.

    start      the new vectors get a column beside the old one, and workers fill both from then on
    (replay)   `vectrue replay run` fills the rows that were there before
    index      the old column's indexes are built again on the new one
    swap       the new column takes the old one's name; rollback gives it back
    finish     the old column is dropped

The state is in the database (`vectrue.column_migrations`), and every step is decided
for each column by its own state. First it looks at all tables of its scope for what
stands in its way (`migrate_check`); then it is one transaction over all of them. A step
that was killed is called again; one that comes too early names the one before it.

Hazard: workers notice a step by looking at vectrue.targets every few seconds, and start
anew with the models it wants. Until then they write nothing into a column that has
changed its model (the write's WHERE), so nothing is mixed; what they miss is stale, and
the gate of `swap` counts it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from connectors.models import by_flag, describe_model
from connectors.ports import Clock
from connectors.postgres import queries, statement
from connectors.postgres.checks import server
from connectors.postgres.ledger.runs import RunLedger
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
    require,
    table_flags,
)
from schemas.reports.replay import Request
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.common import targets as target_rules
from streams.migration import check as migrate_check
from streams.migration import in_flight as migrate_scope
from streams.migration import start as migrate_start
from streams.migration import status as migrate_status
from streams.migration import workers as migrate_workers
from streams.migration.next_step import leading, still_to_follow
from streams.migration.obstacles import Obstacles
from streams.setup import init

Tell = Callable[[str], None]


class Migrate:
    """The steps, each for all tables of its scope at once and for each column by its
    own state.
    """

    def __init__(
        self,
        settings: Settings,
        session: Session,
        clock: Clock,
        tell: Tell,
        tables: Sequence[str] | None = None,
    ) -> None:
        """Join the parts.

        Args:
            settings: all of them.
            session: of the tables' owner; guarded, where that role may do more than the
                workers'.
            clock: for the pauses between attempts to get a lock.
            tell: takes one line for each change, when it is made.
            tables: those that the steps are for; None: all configured ones.
        """
        self._every = settings
        self._names = tuple(tables or ())
        self._session = session
        self._clock = clock
        self._tell = tell

    @property
    def flags(self) -> str:
        """The scope as it was typed: nothing, or ` -t public.questions`."""
        return table_flags(TableName.parse(name) for name in self._names)

    @property
    def _settings(self) -> Settings:
        return self._every.only(self._names)

    def start(
        self, model: ModelSettings, *, offline: bool = False, freeze_old: bool = False
    ) -> None:
        """Have another model wanted: beside the old one, or (offline) in its place.

        Columns that are under way to another model, or further on, are left as they are
        where there are others.

        Args:
            model: which, as flags name it; its files must be here, since its id is made
                of them.
            offline: empty the column itself.
            freeze_old: leave the old vectors as they are from now on.

        Raises:
            VectrueError: there is no column to start with, something stands in the way,
                or the settings do not name the model to move from; nothing was changed.
        """
        embedder, present = by_flag.opened(model), describe_model(self._every.model).model_id
        with self._alone():
            migration.require_known(self._session)
            migrate_check.refuse_lost_tables(self._every, self._session)
            for step in schema.migrations(self._session):
                self._run(step, "start")
            served = target_rules.served(self._settings, self._session)
            saved = openings(migration.read(self._session, finished=True))
            chosen = migrate_start.choose(
                served, self.open(), embedder, present, saved=saved, offline=offline
            )
            for why in chosen.left:
                self._tell(f"{why.message}: it is left as it is")
            again = chosen.again
            olds = [
                self._every.model.model_copy(update=dict(saved.get(t.model, {})))
                for t in chosen.fresh
            ]
            planned = [
                (
                    t,
                    migrate_start.planned(
                        self._session, t, embedder, (old, model), offline=offline, frozen=freeze_old
                    ),
                )
                for t, old in zip(chosen.fresh, olds, strict=True)
            ]
            obstacles = Obstacles(self._session)
            obstacles.ours()
            for _, made in [*planned, *(pair for pair in again if migrate_start.is_half(*pair))]:
                (obstacles.rewriting if made.offline else obstacles.adding)(made)
            obstacles.refuse(
                "start the migration", f"`vectrue migrate start ...{self.flags}` again"
            )
            steps = migrate_start.plan(
                self._settings, self._session, embedder.record, planned, again, freeze=freeze_old
            )
            if offline:
                self._refuse_during_replay([made for _, made in planned])
            workers = migrate_workers.there(self._session)
            if steps:
                changed = [target.table for target, _ in (*planned, *again)]
                self._run(migration.together(self._session, changed, steps), "start", steps)
        migrate_workers.wait(self._session, self._clock, self._tell, workers)

    def to_follow(self) -> str | None:
        """Which tables have to be started as well before those that are under way can
        be finished; None: none.
        """
        found = self.open()
        behind = migrate_scope.behind(self._every, self._session, {made.to_model for made in found})
        if not found or not behind:
            return None
        said = still_to_follow(behind, found[0].to_model)
        return f"{said}, and nothing can be finished before: {leading(found[0], behind).typed()}"

    def swap(self, *, without: Collection[str] | None = frozenset()) -> None:
        """Have the new columns served: one short transaction, as soon as every row of
        them is true.

        Args:
            without: indexes that may be left behind, as IndexesLacking names them;
                None: any.

        Raises:
            IndexesLacking: others have no twin.
            VectrueError: rows or indexes are missing, a replay is under way; the
                message names the next command.
            TransientError: the locks were not free; nothing has changed.
        """
        with self._alone():
            found = self._require(MigrationStep.SWAP)
            waiting = [made for made in found if made.state is MigrationState.STARTED]
            if not waiting:
                return
            self._gate(waiting, without)
            migrate_check.obstacles(self._session, MigrationStep.SWAP, waiting, self.flags)
            self._refuse_during_replay(waiting)
            self._analyze(waiting)
            self._take(
                MigrationStep.SWAP,
                waiting,
                [self._exchange(waiting, back=False)],
                after=self._exchanged(waiting),
            )

    def intent(self, step: MigrationStep, wanted_model: str | None = None) -> migrate_check.Intent:
        """What `rollback` or `finish` will do, column by column; for the question
        before it.

        Args:
            step: which.
            wanted_model: for `finish`, as there.

        Raises:
            VectrueError: it is too early, or something stands in the way.
        """
        found = self._require(step)
        if wanted_model is not None:
            migrate_check.refuse_other_models(self._every, self._session, found, wanted_model)
        return migrate_check.intent(self._session, step, found, self.flags)

    def rollback(self, asked: Sequence[ColumnMigration] | None = None) -> None:
        """Each column goes one step back: swapped, its old vectors are served again;
        started, the new ones go.

        Args:
            asked: the columns as they were when it was asked whether to go on; None:
                nobody was asked.

        Raises:
            VectrueError: something stands in the way; nothing was changed.
            TransientError: the locks were not free; nothing has changed.
        """
        with self._alone():
            found = self._require(MigrationStep.ROLLBACK)
            migrate_check.refuse_moved(asked, found)
            migrate_check.obstacles(self._session, MigrationStep.ROLLBACK, found, self.flags)
            gone = self._gone(found)
            here = [made for made in found if made not in gone]
            self._refuse_during_replay(here)
            back = [made for made in here if made.state is MigrationState.SWAPPED]
            dropped = [
                made for made in here if made.state is MigrationState.STARTED and not made.offline
            ]
            steps = [migration.forget(self._session, made) for made in gone]
            steps += [self._exchange(back, back=True)] if back else []
            steps += (
                [migration.discard(self._session, dropped, MigrationState.ROLLED_BACK)]
                if dropped
                else []
            )
            steps += [self._refill(made) for made in here if made.offline]
            self._take(
                MigrationStep.ROLLBACK, here, steps, after=self._exchanged(back), leaving=dropped
            )

    def finish(
        self,
        wanted_model: str,
        asked: Sequence[ColumnMigration] | None = None,
        *,
        without: Collection[str] | None = frozenset(),
    ) -> None:
        """Drop the old columns and end the migrations.

        Args:
            wanted_model: model id that the settings name, which alone counts when the
                migration has ended.
            asked: as for `rollback`.
            without: indexes that may go with the old column, as IndexesLacking names
                them; None: any.

        Raises:
            IndexesLacking: others have no twin.
            VectrueError: it is too early, the settings still name the old model, or
                something stands in the way; nothing was changed.
        """
        with self._alone():
            found = self._require(MigrationStep.FINISH)
            migrate_check.refuse_moved(asked, found)
            migrate_check.refuse_other_models(self._every, self._session, found, wanted_model)
            if offline := [made for made in found if made.offline]:
                self._gate(offline, without)
            migrate_status.require_indexes(
                self._session, [made for made in found if not made.offline], without
            )
            migrate_check.obstacles(self._session, MigrationStep.FINISH, found, self.flags)
            self._refuse_during_replay(found)
            self._take(
                MigrationStep.FINISH,
                found,
                [migration.discard(self._session, found, MigrationState.FINISHED)],
                leaving=found,
            )

    def open(self) -> list[ColumnMigration]:
        """The columns of the scope that are under way.

        Raises:
            ConfigurationError: a named table is not configured.
        """
        tables = {table.table for table in self._settings.tables}
        return [
            made for made in migrate_scope.mine(self._every, self._session) if made.table in tables
        ]

    def _require(self, step: MigrationStep) -> list[ColumnMigration]:
        """The columns that a step is for."""
        if step is MigrationStep.ROLLBACK and (lost := self._lost()):
            return lost
        found = self.open()
        if not found:
            self._none(step)
        if step is not MigrationStep.INDEX:
            migrate_check.refuse_lost_tables(self._every, self._session)
        for made in found:
            amiss = migrate_status.problem(self._session, made)
            ways = {
                MigrationStep.ROLLBACK: MigrationState.STARTED,
                MigrationStep.FINISH: MigrationState.SWAPPED,
            }
            # What drops the column beside needs no other.
            if amiss is None or (made.state is ways.get(step) and not made.offline):
                continue
            raise VectrueError(
                f"cannot {step} {made.name}: {amiss.why}",
                fix=amiss.typed(table_flags([made.table])),
            )
        return require(step, found)

    def _lost(self) -> list[ColumnMigration]:
        """What is under way of a named table that is neither configured nor there:
        `rollback` ends it.
        """
        names = {TableName.parse(name) for name in self._names} - {
            table.table for table in self._every.tables
        }
        others = [
            m for m in migrate_scope.elsewhere(self._every, self._session) if m.table in names
        ]
        lost = self._gone(others)
        if lost and len({made.table for made in lost}) == len(
            {TableName.parse(name) for name in self._names}
        ):
            return lost
        return []

    def _none(self, step: MigrationStep) -> None:
        migration.require_known(self._session)
        where = f" of {', '.join(self._names)}" if self._names else ""
        others = [
            *migrate_scope.mine(self._every, self._session),
            *migrate_scope.elsewhere(self._every, self._session),
        ]
        if others:
            names = ", ".join(made.name for made in others)
            raise VectrueError(
                f"there is no migration{where} to {step}; under way is {names}",
                fix="vectrue migrate status",
            )
        require(step, [])

    def _gone(self, found: Sequence[ColumnMigration]) -> list[ColumnMigration]:
        return migrate_scope.gone(self._session, found)

    def _gate(self, found: Sequence[ColumnMigration], without: Collection[str] | None) -> None:
        with closing(reader(self._every)) as reading:
            migrate_status.require_filled(self._every, reading, self._clock, found)
        migrate_status.require_indexes(self._session, found, without)

    def _refuse_during_replay(self, found: Sequence[ColumnMigration]) -> None:
        """Have the keeper's own runs over these columns give way, and refuse while a
        person's is under way.
        """
        names = [str(made.table) for made in found]
        columns = [
            f"{made.table}.{column}"
            for made in found
            for column in (made.column, made.beside)
            if column
        ]
        lines = self._session.rows(queries.text("replay_of_tables"), {"tables": names})
        if mine := [line for line in lines if not line[2]]:
            run, state, _, table = mine[0]
            way = migrate_status.waiting_for(str(run), str(state))
            raise VectrueError(
                f"replay run {run} of {table} is not finished ({state})", fix=way.typed()
            )
        if lines:
            # The rows that its run had not come to are looked at again, by its next
            # keeper.
            RunLedger(self._session).give_way(columns, Request(only="missing"))
            self._tell(
                "the keeper's own replay has given way; it looks at these rows again afterwards"
            )

    def _analyze(self, found: Sequence[ColumnMigration]) -> None:
        """Searches go by the index from the swap on: seen without, an exact scan of
        50,000 rows for each of them.
        """
        besides = {(made.table, made.beside) for made in found}
        for target in target_rules.resolve(self._tables_of(found), self._session):
            if (target.table, target.column) not in besides:
                continue
            step = migration.analyze(self._session, target)
            try:
                if step is not None:
                    self._run(step, "swap")
            # a long VACUUM holds the lock; the swap needs it less than its readers
            except TransientError as error:
                self._tell(
                    f"{error.message}: ANALYZE {target.table} yourself, or searches are slow "
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
        """One transaction over these tables, the view that counts included.

        Args:
            step: which.
            found: the columns whose tables are changed.
            parts: what is done to them.
            after: columns that are counted afterwards under the names they have then.
            leaving: migrations whose column beside is no longer there.
        """
        gone = [(str(made.table), made.beside) for made in leaving if made.beside]
        view = counting.plan(self._session, self._every.kafka.topic_prefix, after, leaving=gone)
        tables = [made.table for made in found]
        self._run(migration.together(self._session, tables, [*parts, *view]), str(step), parts)

    def _exchange(self, found: Sequence[ColumnMigration], *, back: bool) -> Statement:
        served = {
            (t.table, t.column): t
            for t in target_rules.served(self._tables_of(found), self._session)
        }
        targets = [served[made.table, made.column] for made in found]
        return migration.exchange(self._session, targets, found, back=back)

    def _exchanged(self, found: Sequence[ColumnMigration]) -> list[Target]:
        """Both columns of each as they are after the exchange, or after the way back:
        as they are read now.
        """
        after = []
        for target in target_rules.served(self._tables_of(found), self._session) if found else []:
            made = next(
                (m for m in found if (m.table, m.column) == (target.table, target.column)), None
            )
            if made is None:
                continue
            swapped = made.state is MigrationState.STARTED
            moved = replace(
                made, state=MigrationState.SWAPPED if swapped else MigrationState.STARTED
            )
            old, new = (made.from_model, made.from_dimensions), (made.to_model, made.to_dimensions)
            now, aside = (new, old) if swapped else (old, new)
            after.append(replace(target, model=now[0], dimensions=now[1]))
            after.append(
                replace(
                    target, column=moved.beside or made.column, model=aside[0], dimensions=aside[1]
                )
            )
        return after

    def _tables_of(self, found: Sequence[ColumnMigration]) -> Settings:
        """The settings with these tables alone, so that a fault of another one is no
        matter.
        """
        names = {made.table for made in found}
        return self._every.model_copy(
            update={"tables": tuple(t for t in self._every.tables if t.table in names)}
        )

    def _refill(self, made: ColumnMigration) -> Statement:
        served = target_rules.served(self._tables_of([made]), self._session)
        target = next(t for t in served if (t.table, t.column) == (made.table, made.column))
        vectors = (
            server.check(self._session, init.worker(self._every, self._session)).vector_schema
            or "public"
        )
        return migration.refill(self._session, target, made, vectors)

    def _run(self, step: Statement, verb: str, parts: Sequence[Statement] = ()) -> None:
        limit = self._every.postgres.lock_timeout_seconds
        try:
            statement.run(self._session, step, lock_seconds=limit, clock=self._clock)
        except TransientError:
            raise
        except VectrueError as error:
            raise VectrueError(
                f"Postgres refused to {step.description}, and nothing was changed: {error.message}",
                fix=f"mend what it names, then `vectrue migrate {verb}{self.flags}` again",
            ) from error
        for part in parts or [step]:
            self._tell(part.description)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with init.alone(self._session):
            yield


def reader(settings: Settings) -> Session:
    """A connection that counts rows: as the workers' role, which evaluates their texts,
    and not as the owner.
    """
    return Session(settings.postgres.dsn, role="migrate reader", prefix=settings.kafka.topic_prefix)
