"""What stands in the way of a step, looked up before anything is changed: all of it at
once, with what deals with each.

Hazard: somebody may put a view on a column between the look and the step. So the step
is one transaction as well, which Postgres takes back as a whole; the look is there so
that its sentence names everything.
"""

from collections.abc import Sequence
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
    """What was found so far; `refuse` says it.

    Attributes:
        said: a clause for each.
        fixes: what to do, in the order in which it is typed.
        lost: what goes along with a dropped column without a word of Postgres.
        shows: queries that print what is lost with those that are to be dropped and
            made anew.
        beside: what the definitions call the old column after a swap, and what it is to
            be.
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
            VectrueError: there is something in the way; nothing was changed.
        """
        if self.said:
            raise VectrueError(
                f"cannot {what}, and nothing was changed: {'; '.join(dict.fromkeys(self.said))}",
                fix=(
                    f"{self._first()}{'; '.join(dict.fromkeys(self.fixes))}; then "
                    f"{self._last()}{again}"
                ),
            )

    def _first(self) -> str:
        if not self.shows:
            return ""
        return (
            "keep what these print, with the GRANTs and indexes: "
            f"{'; '.join(dict.fromkeys(self.shows))}; then "
        )

    def _last(self) -> str:
        if not self.shows:
            return ""
        column = f" ({', '.join(dict.fromkeys(self.beside))})" if self.beside else ""
        return f"create anew what is wanted, on the served column{column}; then "

    def dropping(self, made: ColumnMigration) -> None:
        """The column beside and its provenance are to be dropped."""
        info = self._owned(made.table)
        if info is None or made.beside is None:
            return
        beside = Target(made.table, made.beside, "", (), "", 0)
        self._dependents(
            made, dependents.of_columns(self.session, info.oid, [beside.column, *beside.provenance])
        )

    def rewriting(self, made: ColumnMigration) -> None:
        """The served column is to take another length, and all vectors are to go."""
        info = self._owned(made.table)
        if info is None:
            return
        served = Target(made.table, made.column, "", (), "", 0)
        found = dependents.of_columns(self.session, info.oid, [served.column, *served.provenance])
        found = [one for one in found if one.blocks]
        self._dependents(made, [*dependents.of_row_type(self.session, info.oid), *found])

    def renaming(self, made: ColumnMigration) -> None:
        """The served column and the one beside it are to change their names."""
        info = self._owned(made.table)
        if info is None:
            return
        self._inherited(made.table, made.column, info)
        free = (
            retired(made.column) if made.state is MigrationState.STARTED else growing(made.column)
        )
        self._taken(made, info, free, _columns(made))
        if (
            twins.pairs(self.session, made)
            and not self.session.rows(
                "SELECT has_schema_privilege(%s, 'CREATE')", (made.table.schema,)
            )[0][0]
        ):
            role = self.session.connection().info.user
            self._say(
                f"role {role} may not rename indexes in the schema {made.table.schema}",
                f'GRANT CREATE ON SCHEMA "{made.table.schema}" TO "{role}"',
            )

    def adding(self, made: ColumnMigration) -> None:
        """A second column is to be made, which takes the served one's name later."""
        info = self._owned(made.table)
        if info is None:
            return
        self._inherited(made.table, made.column, info)
        self._taken(made, info, growing(made.column), frozenset())
        self._taken(made, info, retired(made.column), frozenset())

    def _owned(self, table: TableName) -> TableInfo | None:
        """The table's facts; None where it is not the role's, since then all else is
        said by that.
        """
        info = catalog.inspect(self.session, table)
        strange = self._strange(info.oid)
        for name, owner in strange:
            role = self.session.connection().info.user
            self._say(
                f"{name} belongs to {owner}, and role {role} may not change it",
                f'GRANT {owner} TO "{role}", or name a role of both in postgres.admin_dsn',
            )
        return None if strange else info

    def ours(self) -> None:
        """The view that counts is to be renewed."""
        lines = self.session.rows("SELECT to_regclass(%s)::oid", (str(_OURS),))
        if lines[0][0] is not None:
            for name, owner in self._strange(lines[0][0]):
                self._say(
                    f"{name} belongs to {owner}, which ran `vectrue init`",
                    "name that role in postgres.admin_dsn",
                )

    def _strange(self, oid: int) -> list[tuple[str, str]]:
        return [
            (str(name), str(owner))
            for name, owner in self.session.rows(queries.text("not_owned"), {"oid": oid})
        ]

    def _inherited(self, table: TableName, column: str, info: TableInfo) -> None:
        for (parent,) in self.session.rows(
            queries.text("inherited_from"), {"oid": info.oid, "column": column}
        ):
            self._say(
                f"{table}.{column} is inherited from {parent}, and takes another name there alone",
                f"{_alter(table)} NO INHERIT {parent}",
            )

    def _taken(
        self, made: ColumnMigration, info: TableInfo, name: str, ours: frozenset[str]
    ) -> None:
        wanted = Target(made.table, name, "", (), "", 0)
        there = {column.casefold(): column for column in info.columns}
        for column in (name, *wanted.provenance):
            # Names that differ by case alone would stop Debezium.
            found = there.get(column.casefold())
            if found is not None and found not in ours:
                self._say(
                    f"{made.table} has a column {found}, a name that the migration needs",
                    f"{_alter(made.table)} RENAME COLUMN {_quoted(found)} TO another name (or "
                    "DROP COLUMN "
                    f"{_quoted(found)}, if it is left over)",
                )

    def _dependents(self, made: ColumnMigration, found: Sequence[Dependent]) -> None:
        for one in found:
            if not one.blocks:
                self.lost.append(f"{one.said}" + (f" ({one.shows} prints it)" if one.shows else ""))
                continue
            self.shows += [one.shows] if one.shows else []
            if made.state is MigrationState.SWAPPED:
                self.beside.append(f"{made.column} where it says {made.beside}")
            self._say(
                f"{one.said} depends on {made.table}.{made.beside or made.column}",
                one.drops or f"take {one.said} away",
            )

    def _say(self, said: str, fix: str) -> None:
        self.said.append(said)
        self.fixes.append(fix)


def _columns(made: ColumnMigration) -> frozenset[str]:
    """The column beside, and its provenance."""
    beside = Target(made.table, made.beside or made.column, "", (), "", 0)
    return frozenset((beside.column, *beside.provenance))


def _alter(table: TableName) -> str:
    return f"ALTER TABLE {_quoted(table.schema)}.{_quoted(table.name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
