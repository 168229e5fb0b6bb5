"""What blocks a step, looked up before any change: all of it at once, with the fixes.

Hazard: a view may be put on a column between the look and the step. So the step is one
transaction too, which Postgres rolls back as a whole; the look makes one sentence that
names everything.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from connectors.postgres import catalog, queries
from connectors.postgres.catalog import TableInfo
from connectors.postgres.migrations import dependents, twins
from connectors.postgres.migrations.dependents import Dependent
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration, MigrationState, growing, retired
from schemas.rows.table import TableName
from schemas.rows.target import Target

_OURS = TableName("vectrue", "coverage")


@dataclass(slots=True)
class Obstacles:
    """What was found so far; `refuse` raises it.

    Attributes:
        said: a clause for each.
        fixes: what to do, in the order in which it is typed.
        lost: what Postgres drops silently along with a column.
        shows: queries that print the definitions of what is dropped and recreated.
        beside: what those definitions call the old column after a swap, and what to
            write instead.
    """

    session: Session
    said: list[str] = field(default_factory=list)
    fixes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    shows: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)

    def refuse(self, what: str, again: str) -> None:
        """Refuse a step that cannot be done.

        Args:
            what: the step, as a verb.
            again: the command to call then.

        Raises:
            VectrueError: something blocks it; nothing was changed.
        """
        if not self.said:
            return
        # Columns may share an obstacle, which is named once.
        fix = "; ".join(dict.fromkeys(self.fixes))
        # First what has to be kept: a DROP takes the definitions along.
        if self.shows:
            shows = "; ".join(dict.fromkeys(self.shows))
            column = f" ({', '.join(dict.fromkeys(self.beside))})" if self.beside else ""
            fix = (
                f"keep what these print, with the GRANTs and indexes: {shows}; then {fix}; "
                f"then recreate what is wanted, on the served column{column}"
            )
        raise VectrueError(
            f"cannot {what}, and nothing was changed: {'; '.join(dict.fromkeys(self.said))}",
            fix=f"{fix}; then {again}",
        )

    def dropping(self, made: ColumnMigration) -> None:
        """Look before the column beside and its provenance are dropped."""
        info = self._owned(made.table)
        if info is None or made.beside is None:
            return
        columns = _with_provenance(made.table, made.beside)
        self._dependents(made, dependents.of_columns(self.session, info.oid, columns))

    def rewriting(self, made: ColumnMigration) -> None:
        """Look before the served column takes another length, and loses its vectors."""
        info = self._owned(made.table)
        if info is None:
            return
        columns = _with_provenance(made.table, made.column)
        found = dependents.of_columns(self.session, info.oid, columns)
        # Postgres also refuses to rewrite a table whose row type another table uses.
        blocking = list(dependents.of_row_type(self.session, info.oid))
        for one in found:
            if one.blocks:
                blocking.append(one)
        self._dependents(made, blocking)

    def renaming(self, made: ColumnMigration) -> None:
        """Look before the served column and the one beside it change their names."""
        info = self._owned(made.table)
        if info is None:
            return
        self._inherited(made.table, made.column, info)
        is_started = made.state is MigrationState.STARTED
        free = retired(made.column) if is_started else growing(made.column)
        ours = _with_provenance(made.table, made.beside or made.column)
        self._taken(made, info, free, ours)
        if twins.pairs(self.session, made):
            self._index_rights(made.table)

    def _index_rights(self, table: TableName) -> None:
        # Postgres wants CREATE on the schema for the rename of an index.
        asked = "SELECT has_schema_privilege(%s, 'CREATE')"
        ((is_granted,),) = self.session.rows(asked, (table.schema,))
        if not is_granted:
            role = self.session.connection().info.user
            self._say(
                f"role {role} may not rename indexes in the schema {table.schema}",
                f'GRANT CREATE ON SCHEMA "{table.schema}" TO "{role}"',
            )

    def adding(self, made: ColumnMigration) -> None:
        """Look before a second column is added, which takes the served name later."""
        info = self._owned(made.table)
        if info is None:
            return
        self._inherited(made.table, made.column, info)
        self._taken(made, info, growing(made.column), ())
        self._taken(made, info, retired(made.column), ())

    def _owned(self, table: TableName) -> TableInfo | None:
        """Return the table's facts; None where the role does not own it."""
        info = catalog.inspect(self.session, table)
        foreign = self._not_owned(info.oid)
        for name, owner in foreign:
            role = self.session.connection().info.user
            self._say(
                f"{name} belongs to {owner}, and role {role} may not change it",
                f'GRANT {owner} TO "{role}", or name a role of both in postgres.admin_dsn',
            )
        # Where it is not owned, that is the obstacle, and nothing else is looked at.
        return None if foreign else info

    def ours(self) -> None:
        """Look before the view that counts is replaced."""
        lines = self.session.rows("SELECT to_regclass(%s)::oid", (str(_OURS),))
        if lines[0][0] is None:
            return
        for name, owner in self._not_owned(lines[0][0]):
            self._say(
                f"{name} belongs to {owner}, which ran `vectrue init`",
                "name that role in postgres.admin_dsn",
            )

    def _not_owned(self, oid: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for name, owner in self.session.rows(queries.text("not_owned"), {"oid": oid}):
            found.append((str(name), str(owner)))
        return found

    def _inherited(self, table: TableName, column: str, info: TableInfo) -> None:
        asked = {"oid": info.oid, "column": column}
        for (parent,) in self.session.rows(queries.text("inherited_from"), asked):
            self._say(
                f"{table}.{column} is inherited from {parent}, and can be renamed only there",
                f"{_alter(table)} NO INHERIT {parent}",
            )

    def _taken(
        self, made: ColumnMigration, info: TableInfo, name: str, ours: Collection[str]
    ) -> None:
        # Names that differ only by case would stop Debezium.
        there = {column.casefold(): column for column in info.columns}
        for column in _with_provenance(made.table, name):
            found = there.get(column.casefold())
            if found is None or found in ours:
                continue
            quoted = _quoted(found)
            self._say(
                f"{made.table} has a column {found}, a name that the migration needs",
                f"{_alter(made.table)} RENAME COLUMN {quoted} TO another name "
                f"(or DROP COLUMN {quoted}, if it is left over)",
            )

    def _dependents(self, made: ColumnMigration, found: Sequence[Dependent]) -> None:
        for one in found:
            if not one.blocks:
                # Postgres drops it silently along with the column.
                shows = f" ({one.shows} prints it)" if one.shows else ""
                self.lost.append(f"{one.said}{shows}")
                continue
            if one.shows:
                self.shows.append(one.shows)
            # Since the swap its definition says the old column's present name.
            if made.state is MigrationState.SWAPPED:
                self.beside.append(f"{made.column} where it says {made.beside}")
            self._say(
                f"{one.said} depends on {made.table}.{made.beside or made.column}",
                one.drops or f"take {one.said} away",
            )

    def _say(self, said: str, fix: str) -> None:
        self.said.append(said)
        self.fixes.append(fix)


def _with_provenance(table: TableName, column: str) -> list[str]:
    """Return a vector column and those of its provenance."""
    target = Target(table, column, text="", key=(), model="", dimensions=0)
    return [column, *target.provenance]


def _alter(table: TableName) -> str:
    return f"ALTER TABLE {_quoted(table.schema)}.{_quoted(table.name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
