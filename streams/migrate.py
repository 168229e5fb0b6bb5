"""`embedsync migrate`: move vector columns to another model while readers go on reading.

    start      the new vectors get a column beside the old one, and workers fill both from then on
    (replay)   `embedsync replay run` fills the rows that were there before
    index      the old column's indexes are built again on the new one
    swap       the new column takes the old one's name; rollback gives it back
    finish     the old column is dropped

The state is in the database (`embedsync.column_migrations`), and every step is planned from what is there: a step that
was killed is finished by calling it again, and one that comes too early names the one before it.

Hazard: workers notice a step by looking at embedsync.targets every few seconds, and start anew with the models it
wants. Until then they write nothing into a column that has changed its model (the write's WHERE), so nothing is mixed;
what they miss is stale, and the gate of `swap` counts it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from connectors.models import describe_model, open_model
from connectors.ports import Clock, Embedder
from connectors.postgres import catalog, migration, queries, schema, server, statement
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement
from schemas.errors import EmbedsyncError, TransientError
from schemas.migration import ColumnMigration, State, Step, index_names, require
from schemas.sections import ModelSettings
from schemas.settings import Settings
from schemas.target import Target
from streams import init, migrate_status
from streams import targets as target_rules

Tell = Callable[[str], None]

_WORKERS_SECONDS = 60.0
_POLL_SECONDS = 0.25


class Migrate:
    """The steps, each for all configured tables at once."""

    def __init__(self, settings: Settings, session: Session, clock: Clock, tell: Tell) -> None:
        """Join the parts.

        Args:
            settings: all of them.
            session: of the tables' owner; guarded, where that role may do more than the workers'.
            clock: for the pauses between attempts to get a lock.
            tell: takes one line for each change, when it is made.
        """
        self._settings = settings
        self._session = session
        self._clock = clock
        self._tell = tell

    def start(self, model: ModelSettings, *, offline: bool = False, freeze_old: bool = False) -> None:
        """Have another model wanted: beside the old one, or (offline) in its place.

        Args:
            model: which; its files must be here, since its id is made of them.
            offline: empty the column itself.
            freeze_old: leave the old vectors as they are from now on.

        Raises:
            EmbedsyncError: another migration is under way, the model is the one that is wanted already, or the settings
                do not name the one to move from.
        """
        embedder, present = open_model(model), describe_model(self._settings.model).model_id
        with self._alone():
            for step in schema.migrations(self._session):
                self._run(step)
            served = target_rules.served(self._settings, self._session)
            under_way = {(m.table, m.column): m for m in self.open()}
            for target in served:
                made = under_way.get((target.table, target.column))
                self._check_start(target, made, embedder, present, offline=offline)
            for step in schema.model_record(self._session, embedder.record):
                self._run(step)
            for target in served:
                if (target.table, target.column) not in under_way:
                    planned = self._planned(target, embedder, model, offline=offline, frozen=freeze_old)
                    self._run(migration.record(self._session, target, planned))
            for made in self.open():
                self._begin(next(t for t in served if (t.table, t.column) == (made.table, made.column)), made)
            workers = self._workers()
            self._keep_books()
        self._await_workers(workers)

    def swap(self) -> None:
        """Have the new columns served: one short transaction, as soon as every row of them is true.

        Raises:
            EmbedsyncError: rows or indexes are missing, a replay is under way; the message names the next command.
            TransientError: the locks were not free; nothing has changed.
        """
        with self._alone():
            found = self.open()
            require(Step.SWAP, found)
            waiting = [made for made in found if made.state is State.STARTED]
            if not waiting:
                return
            self._gate(waiting)
            self._analyze(waiting)
            self._exchange(waiting, back=False)

    def rollback(self) -> None:
        """Go one step back: after the swap the old columns are served again; before it the new ones are dropped."""
        with self._alone():
            found = self.open()
            require(Step.ROLLBACK, found)
            if found[0].state is State.SWAPPED:
                self._refuse_during_replay(found)
                self._exchange(found, back=True)
                return
            for made in found:
                self._discard(made, State.ROLLED_BACK)

    def finish(self, wanted_model: str) -> None:
        """Drop the old columns and end the migration.

        Args:
            wanted_model: model id that the settings name, which alone counts when the migration has ended.

        Raises:
            EmbedsyncError: it is too early, or the settings still name the old model.
        """
        with self._alone():
            found = self.open()
            require(Step.FINISH, found)
            for made in found:
                if made.to_model != wanted_model:
                    raise EmbedsyncError(
                        f"the settings name {wanted_model}, but {made.name} now holds vectors of {made.to_model}",
                        fix="set model.name and model.dimensions of the new model in embedsync.toml first",
                    )
            if found[0].offline:
                self._gate(found)
            for made in found:
                self._discard(made, State.FINISHED)

    def open(self) -> list[ColumnMigration]:
        """The configured columns that are under way."""
        mine = {(table.table, table.column) for table in self._settings.tables}
        return [made for made in migration.read(self._session) if (made.table, made.column) in mine]

    def _check_start(
        self, target: Target, made: ColumnMigration | None, embedder: Embedder, present: str | None, *, offline: bool
    ) -> None:
        if made is None:
            if target.model == embedder.model_id:
                raise EmbedsyncError(
                    f"{target.name} wants {target.model} already",
                    fix="name another model, or run `embedsync replay run`",
                )
            # What [model] says is kept for those who open the old model from now on; None: its files are not here.
            if present not in (None, target.model):
                raise EmbedsyncError(
                    f"{target.name} holds vectors of {target.model}, but [model] names {present}",
                    fix="set [model] back to the model that is there now, until `migrate finish` asks for the new one",
                )
            return
        if (made.to_model, made.offline) != (embedder.model_id, offline) or made.state is not State.STARTED:
            how = "offline, " if made.offline else ""
            raise EmbedsyncError(
                f"a migration of {made.name} to {made.to_model} is under way ({how}{made.state})",
                fix="embedsync migrate status, then finish or rollback",
            )

    def _planned(
        self, target: Target, embedder: Embedder, model: ModelSettings, *, offline: bool, frozen: bool
    ) -> ColumnMigration:
        oid = catalog.inspect(self._session, target.table).oid
        found = migration.indexes(self._session, oid, target.column)
        names = tuple(index_names(index.name, index.definition) for index in found if index.valid)
        return ColumnMigration(
            target.table, target.column, State.STARTED, offline, frozen and not offline,
            target.model, target.dimensions, embedder.model_id, embedder.dimensions,
            names, _opening(self._settings.model), _opening(model),
        )  # fmt: skip

    def _begin(self, target: Target, made: ColumnMigration) -> None:
        vector_schema = (
            server.check(self._session, init.worker(self._settings, self._session)).vector_schema or "public"
        )
        if made.offline:
            if target.model != made.to_model:
                self._run(migration.empty(self._session, target, made, vector_schema))
            return
        columns = catalog.inspect(self._session, target.table).columns
        if made.beside not in columns:
            self._run(migration.add_growing(self._session, target, made.to_dimensions, vector_schema))
        if made.frozen:
            self._run(migration.freeze(self._session, target, frozen=True))

    def _keep_books(self) -> None:
        """Provenance, targets, the view that counts and the worker's rights, for the columns as they are now."""
        for step in init.bookkeeping(self._settings, self._session):
            self._run(step)

    def _workers(self) -> set[int]:
        return {int(pid) for (pid,) in self._session.rows(queries.text("worker_sessions"))}

    def _await_workers(self, before: set[int]) -> None:
        """Wait until the workers of before have started anew; what they miss until then is a replay's business."""
        deadline = self._clock.monotonic() + _WORKERS_SECONDS
        while left := before & self._workers():
            if self._clock.monotonic() > deadline:
                self._tell(f"{len(left)} worker sessions still fill the old column alone: a replay fills the rest")
                return
            self._clock.wait(_POLL_SECONDS)
        if before:
            self._tell("the workers have started anew, and fill the new vectors from now on")

    def _gate(self, found: Sequence[ColumnMigration]) -> None:
        self._refuse_during_replay(found)
        with closing(reader(self._settings)) as reading:
            standing = migrate_status.require_filled(self._settings, reading, self._clock)
        migrate_status.require_indexes(standing)

    def _refuse_during_replay(self, found: Sequence[ColumnMigration]) -> None:
        names = [str(made.table) for made in found]
        if lines := self._session.rows(queries.text("replay_of_tables"), {"tables": names}):
            raise EmbedsyncError(
                f"replay run {lines[0][0]} is under way on these tables",
                fix="let it finish (`embedsync replay status`), or `embedsync replay cancel` it",
            )

    def _analyze(self, found: Sequence[ColumnMigration]) -> None:
        """Searches go by the index from the swap on: seen without, an exact scan of 50,000 rows for each of them."""
        besides = {(made.table, made.beside) for made in found}
        for target in target_rules.resolve(self._settings, self._session):
            if (target.table, target.column) not in besides:
                continue
            step = migration.analyze(self._session, target)
            try:
                if step is not None:
                    self._run(step)
            except TransientError as error:  # a long VACUUM holds the lock; the swap needs it less than its readers
                self._tell(
                    f"{error.message}: ANALYZE {target.table} yourself, or searches are slow until autovacuum does"
                )

    def _exchange(self, found: Sequence[ColumnMigration], *, back: bool) -> None:
        served = {(t.table, t.column): t for t in target_rules.served(self._settings, self._session)}
        targets = [served[made.table, made.column] for made in found]
        after: list[Target] = []
        for (table, column), target in served.items():
            made = next((m for m in found if (m.table, m.column) == (table, column)), None)
            if made is None:
                after.append(target)
                continue
            moved = replace(made, state=State.STARTED if back else State.SWAPPED)
            old, new = (made.from_model, made.from_dimensions), (made.to_model, made.to_dimensions)
            now, aside = (old, new) if back else (new, old)
            after.append(replace(target, model=now[0], dimensions=now[1]))
            after.append(replace(target, column=moved.beside or column, model=aside[0], dimensions=aside[1]))
        prefix = self._settings.kafka.topic_prefix
        self._run(migration.exchange(self._session, targets, found, after, prefix=prefix, back=back))

    def _discard(self, made: ColumnMigration, state: State) -> None:
        served = target_rules.served(self._settings, self._session)
        target = next(t for t in served if (t.table, t.column) == (made.table, made.column))
        others = [m for m in self.open() if m != made and m.beside]
        besides = [
            replace(t, column=m.beside or t.column)
            for m in others
            for t in served
            if (t.table, t.column) == (m.table, m.column)
        ]
        prefix = self._settings.kafka.topic_prefix
        self._run(migration.discard(self._session, target, made, state, [*served, *besides], prefix=prefix))

    def _run(self, step: Statement) -> None:
        limit = self._settings.postgres.lock_timeout_seconds
        statement.run(self._session, step, lock_seconds=limit, clock=self._clock)
        self._tell(step.description)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with init.alone(self._session):
            yield


def reader(settings: Settings) -> Session:
    """A connection that counts rows: as the workers' role, which evaluates their texts, and not as the owner."""
    return Session(settings.postgres.dsn, role="migrate reader", prefix=settings.kafka.topic_prefix)


def _opening(model: ModelSettings) -> dict[str, object]:
    """What a worker needs to open the model, whatever its own settings say."""
    return model.model_dump(include={"name", "revision", "dimensions", "max_tokens"})
