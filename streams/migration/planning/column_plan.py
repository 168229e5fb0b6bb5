"""The part of one column in the plan: its size, indexes, readers, and what to do.

What was not measured is left out.
"""

from collections.abc import Sequence
from typing import Any

from connectors.models import describe_model
from connectors.postgres import catalog
from connectors.postgres.ledger.runs import RunLedger
from connectors.postgres.migrations import dependents, migration, outlook, twins
from connectors.postgres.migrations.twins import Index
from connectors.postgres.rows.vector_size import stored_bytes
from connectors.postgres.session import Session
from schemas.reports.migration import ColumnMigration, growing, openings, table_flags
from schemas.rows.index_definition import Vectors
from schemas.rows.target import Target
from schemas.settings.reading import Settings
from streams.migration.planning import todo as rules
from streams.migration.planning.plan_report import TablePlan
from streams.migration.planning.todo import Todo
from streams.migration.planning.wanted_model import WantedModel


class ColumnPlanner:
    """Plans columns one by one; nothing is written."""

    def __init__(
        self, settings: Settings, session: Session, asked: WantedModel, *, offline: bool
    ) -> None:
        self._settings = settings
        self._session = session
        self._dimensions = asked.model.dimensions
        self._to_model = asked.model_id
        self._offline = offline
        self._present = describe_model(settings.model).model_id
        self._saved = openings(migration.read(session, finished=True))

    def plan(self, target: Target, made: ColumnMigration | None, left: Todo | None) -> TablePlan:
        """Plan one column.

        Args:
            target: the served column.
            made: its migration; None where it is not being migrated.
            left: why `start` leaves it as it is; None when it does not.

        Raises:
            ConfigurationError: the table does not exist.
            TransientError: Postgres does not answer.
        """
        info = catalog.inspect(self._session, target.table)
        old, new = self._vectors(target, made)
        found = twins.read(self._session, info.oid, old.columns)
        wanted = twins.standing(self._session, made).wanted if made else twins.wanted(found)
        sizes = outlook.sizes(self._session, info.oid)
        readers = dependents.of_column(self._session, info.oid, old.column)
        # The rows are those of the statistics, and not known before the first ANALYZE.
        more = None if sizes.rows is None else sizes.rows * stored_bytes(new.dimensions)
        parts, invalid, old_bytes = _indexes(found)
        return TablePlan(
            table=str(target.table),
            column=target.column,
            state=str(made.state) if made else None,
            rows=sizes.rows,
            from_model=old.model,
            from_dimensions=old.dimensions,
            to_dimensions=new.dimensions,
            table_bytes=sizes.bytes,
            more_bytes=more,
            free_bytes=outlook.free_bytes(self._session, sizes.spaces),
            partitions=sizes.leaves if info.kind == "p" else 0,
            indexes=tuple(index.label for index in wanted),
            index_parts=tuple(parts),
            # An index holds the vectors themselves, so it grows with their length.
            index_bytes=round(old_bytes * (new.dimensions / old.dimensions)),
            invalid=tuple(invalid),
            readers=tuple(one.said for one in readers),
            seconds=self._seconds(target, sizes.rows),
            todo=tuple(self._todo(target, made, info, wanted, (old, new), left)),
        )

    def _vectors(self, target: Target, made: ColumnMigration | None) -> tuple[Vectors, Vectors]:
        if made is not None:
            return twins.vectors(made)
        return (
            Vectors(target.column, target.dimensions, target.model),
            Vectors(growing(target.column), self._dimensions, self._to_model or ""),
        )

    def _todo(
        self,
        target: Target,
        made: ColumnMigration | None,
        info: catalog.TableInfo,
        wanted: Sequence[Index],
        vectors: tuple[Vectors, Vectors],
        left: Todo | None,
    ) -> list[Todo]:
        if left is not None and made is None:
            return [left]
        offline = made.offline if made else self._offline
        session = self._session
        todo = [left] if left else self._other_model(target, made)
        todo += rules.constraints(wanted)
        todo += rules.too_long(wanted, *vectors)
        if not offline:
            todo += rules.names(target, list(info.columns), made)
        admin = self._settings.postgres.admin
        todo += rules.ownership(session, info.oid, target, admin)
        todo += rules.readers(session, info.oid, target, made, offline=offline)
        return todo

    def why_left(self, target: Target, made: ColumnMigration | None) -> Todo | None:
        """Say why `start` would leave a column as it is.

        Args:
            target: the served column.
            made: its migration; None where it is not being migrated.

        Returns:
            The reason; None when `start` takes the column, or has started it already.
        """
        if made is not None and made.to_model != self._to_model:
            other = self._to_model or "this one"
            return Todo(
                step="start",
                blocks=True,
                what=f"a migration of {target.name} to {made.to_model} is under way, "
                f"not to {other}",
                statement=f"vectrue migrate status{table_flags([target.table])} "
                "(then finish, or rollback)",
                who="you",
            )
        if made is None and target.model == self._to_model:
            what = f"{target.name} wants {target.model} already: there is nothing to migrate"
            return Todo("start", blocks=True, what=what, statement=None, who="you")
        return None

    def _other_model(self, target: Target, made: ColumnMigration | None) -> list[Todo]:
        """Report that the settings do not name the model to move from."""
        if made is not None or self._present in (None, target.model):
            return []
        # How an earlier migration opens this model is saved, so [model] is not needed.
        if target.model in self._saved:
            return []
        what = (
            f"{target.name} holds vectors of {target.model}, but [model] names "
            f"{self._present}: set [model] back to the present model"
        )
        return [Todo("start", blocks=True, what=what, statement=None, who="you")]

    def _seconds(self, target: Target, rows: int | None) -> float | None:
        # Measured with the old model: no run has used the new one yet.
        measured = RunLedger(self._session).measured_rate(target)
        return rows / measured[1] if measured and rows else None


def _indexes(found: Sequence[Index]) -> tuple[list[dict[str, Any]], list[str], int]:
    """Return the parts that have a size, the labels of the invalid ones, and the bytes."""
    parts: list[dict[str, Any]] = []
    invalid: list[str] = []
    total = 0
    for index in found:
        if index.valid:
            total += index.bytes
        # The index of a table with partitions holds nothing itself.
        if index.valid and not index.framed:
            parts.append(_part(index))
        if index.is_invalid:
            invalid.append(index.label)
    return parts, invalid, total


def _part(index: Index) -> dict[str, Any]:
    return {
        "name": index.name,
        "table": str(index.table),
        "bytes": index.bytes,
        "method": index.definition.method,
        "definition": index.definition.text,
    }
