"""What is there of everything that is configured, and what of it differs.

Pure. Read by `connectors.postgres.health.watched`; compared by workers every few
seconds, by the keeper and by `doctor`.

Hazard: what a difference does to a worker is decided here once. One that stops it must
be one that no restart and no wait can pass, and that harms rows whose changes arrive: a
table that is not published harms none, since none arrive.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.health.witness import Difference
from schemas.rows.table import TableName
from schemas.rows.target import KeyColumn

INIT = "vectrue init"

# Types whose values come through the connector as JSON that casts back to the same
# value: tried with each, in tests/integration/worker/test_keys.py. Not `name`, which
# the connector empties; not floats, which have no exact text.
_KEY_TYPES = {
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "text",
    "character varying",
    "character",
    "uuid",
    "boolean",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
}
# pg_type.typcategory.
_ENUM = "E"

KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "i": "index",
    "c": "composite type",
}


def travels(column: KeyColumn, base_type: str) -> bool:
    """Whether the values of a key column come through capture unchanged.

    `base_type` is that of a domain.
    """
    return (
        column.category == _ENUM
        or base_type in _KEY_TYPES
        # An extension's type is printed with its schema where that is not in the search path.
        or base_type.rsplit(".", 1)[-1] == "citext"
    )


class Effect(StrEnum):
    """What a difference does to a worker."""

    STOP = "stop"
    """It cannot go on as it should, and restarting does not help."""
    MISSED = "missed"
    """Changes are not captured: all rows have to be looked at, now and when it is over.
    """
    NAMED = "named"
    """It is reported, and changes nothing for the worker."""


@dataclass(frozen=True, slots=True)
class ShapeDifference:
    """A difference, its table (None: all), and what it does to a worker."""

    effect: Effect
    table: TableName | None
    difference: Difference


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the text of a table cannot be evaluated, and what to do.

    `hides`: a policy would hide rows.
    """

    sentence: str
    fix: str
    hides: bool = False


@dataclass(frozen=True, slots=True)
class TableShape:
    """A configured table as it is now; `oid` None when there is none of that name.

    Attributes:
        table: its name, as configured.
        oid: which relation has the name now.
        kind: pg_class.relkind.
        persistence: pg_class.relpersistence.
        hides_rows: whether row-level security applies to the connected role.
        key: the primary key.
        key_types: base type of each key column.
        key_usable: whether the key is a replica identity (not deferrable).
        identity: pg_class.relreplident, or the first that differs of a partition;
            `lost` for an index that is gone.
        changed_by: 32-bit id of the transaction that last changed the table's
            definition.
        columns: type of each of the columns that vectrue needs, as format_type prints
            it.
        wanted: vector columns that are kept true.
        published: whether the publication publishes this very relation.
        filtered: whether it publishes some of the rows only.
        listed: columns it publishes; None: all.
        trouble: with the text.
    """

    table: TableName
    oid: int | None
    kind: str = ""
    persistence: str = "p"
    hides_rows: bool = False
    key: tuple[KeyColumn, ...] = ()
    key_types: tuple[str, ...] = ()
    key_usable: bool = True
    identity: str = "d"
    changed_by: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[tuple[str, ...], ...] = ()
    published: bool = False
    filtered: bool = False
    listed: tuple[str, ...] | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class PublicationShape:
    """The publication: what it publishes, and its relations by their names now."""

    inserts_and_updates: bool
    through_root: bool
    members: tuple[TableName, ...]


@dataclass(frozen=True, slots=True)
class SlotShape:
    """The replication slot."""

    plugin: str | None
    database: str | None
    wal_status: str | None


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything, as of one statement; `database` is the connected one."""

    role: str
    database: str
    tables: tuple[TableShape, ...]
    publication: PublicationShape | None
    slot: SlotShape | None

    def of(self, table: TableName) -> TableShape | None:
        """A table's shape; None when it is not configured."""
        for one in self.tables:
            if one.table == table:
                return one
        return None


def compare(shape: Shape, *, publication: str, slot: str) -> list[ShapeDifference]:
    """Everything that differs from what is configured.

    Args:
        shape: what is there.
        publication: its configured name.
        slot: its configured name.
    """
    found = [*_publication(shape, publication), *_slot(shape, slot)]
    for table in shape.tables:
        found += _table(shape, table, publication)
    return found


def _publication(shape: Shape, publication: str) -> Iterator[ShapeDifference]:
    there, published = shape.publication, f"publication {publication}"
    if there is None:
        yield _missed(
            None, f"there is no publication {publication}: nothing is captured", INIT, published
        )
    elif not there.inserts_and_updates:
        yield _missed(
            None, f"publication {publication} leaves out inserts or updates", INIT, published
        )
    elif not there.through_root and any(table.kind == "p" for table in shape.tables):
        # An event would name the partition, which no setting knows.
        yield _missed(
            None,
            f"publication {publication} does not publish partitions through their root",
            INIT,
            published,
        )


def _slot(shape: Shape, slot: str) -> Iterator[ShapeDifference]:
    reads, read = shape.slot, f"slot {slot}"
    if reads is None:
        yield _missed(None, f"there is no replication slot {slot}: nothing is captured", INIT, read)
    elif reads.plugin != "pgoutput" or reads.database != shape.database:
        where = f"{reads.plugin or 'physical replication'} in database {reads.database or '-'}"
        yield _missed(
            None, f"replication slot {slot} is for {where}", "set postgres.slot to another name"
        )
    elif reads.wal_status == "lost":
        yield _missed(
            None,
            f"replication slot {slot} is lost: the server has removed the log that it needs",
            INIT,
            read,
        )


def _table(shape: Shape, table: TableShape, publication: str) -> Iterator[ShapeDifference]:
    name = table.table
    if table.oid is None:
        yield _missed(
            name,
            f"there is no table {name}",
            "correct [[tables]] name, or give the table its name back",
        )
        return
    # Changes that do not arrive harm no row: the other tables go on, and this one is
    # named.
    harm = Effect.STOP if table.published else Effect.MISSED
    if table.kind not in ("r", "p"):
        what = KINDS.get(table.kind, f"relation of kind {table.kind}")
        yield _found(
            harm,
            name,
            f"{name} is a {what}, and only tables can be captured",
            "name the table that holds the rows in [[tables]]",
        )
        return
    yield from _rows(shape, table)
    # Without a publication that alone is said, and not of each table.
    if shape.publication is not None:
        yield from _published(shape.publication, table, publication)
    yield from _key(table)
    yield from _columns(table, harm)
    # A policy that hides rows was said by `_rows`.
    if table.trouble is not None and not (table.hides_rows and table.trouble.hides):
        effect = Effect.STOP if table.trouble.hides else harm
        yield _found(effect, name, table.trouble.sentence, table.trouble.fix)


def _rows(shape: Shape, table: TableShape) -> Iterator[ShapeDifference]:
    """What keeps rows of a table from the role, or its changes from the log."""
    name = table.table
    if table.hides_rows:
        yield _found(
            Effect.STOP,
            name,
            f"row-level security of table {name} would hide rows from role {shape.role}",
            f'ALTER ROLE "{shape.role}" BYPASSRLS',
        )
    if table.persistence != "p":
        yield _missed(
            name,
            f"table {name} is not permanent: its changes are not in the log that capture reads",
            f"ALTER TABLE {name} SET LOGGED",
        )


def _published(
    there: PublicationShape, table: TableShape, publication: str
) -> Iterator[ShapeDifference]:
    name, configured = table.table, f"publication {publication}"
    if not table.published:
        instead = _published_instead(there, name.schema)
        said = (
            f"table {name} is not published by {configured}{instead}: its changes are not captured"
        )
        yield _missed(name, said, INIT, configured)
        return
    if table.filtered:
        yield _missed(
            name, f"{configured} publishes some rows of table {name} only", INIT, configured
        )
    if table.listed is None:
        return
    for column in table.key:
        # Postgres refuses an UPDATE when the published columns lack a part of the identity.
        if column.name not in table.listed:
            yield _found(
                Effect.NAMED,
                name,
                f"{configured} leaves out key column {column.name} of table {name}: updates of "
                "the application fail",
                INIT,
                configured,
            )
            return


def _published_instead(there: PublicationShape, schema: str) -> str:
    """What is published of a schema: a table that was renamed is among these."""
    others = [str(other) for other in there.members if other.schema == schema]
    return f"; of schema {schema} it publishes {', '.join(others)}" if others else ""


def _key(table: TableShape) -> Iterator[ShapeDifference]:
    name = table.table
    if not table.key:
        yield _found(
            Effect.NAMED,
            name,
            f"table {name} has no primary key, so a row cannot be told from another",
            f"ALTER TABLE {name} ADD PRIMARY KEY (...)",
        )
        return
    yield from _key_types(table)
    yield from _identity(table)


def _key_types(table: TableShape) -> Iterator[ShapeDifference]:
    name = table.table
    for column, base in zip(table.key, table.key_types, strict=True):
        if not travels(column, base):
            said = (
                f"key column {column.name} of table {name} is of type {column.type}, whose "
                "values do not come through"
            )
            yield _found(
                Effect.NAMED,
                name,
                f"{said} capture unchanged",
                "use a key of integers, numeric, text, uuid, boolean, enum, date or timestamp",
            )


def _identity(table: TableShape) -> Iterator[ShapeDifference]:
    """What makes Postgres refuse updates of a published table."""
    name = table.table
    if not table.key_usable:
        yield _found(
            Effect.NAMED,
            name,
            f"the primary key of table {name} is deferrable: updates of the application "
            "fail once it is published",
            "make the primary key NOT DEFERRABLE",
        )
    if table.identity in ("n", "lost"):
        yield _found(
            Effect.NAMED,
            name,
            f"table {name} has no replica identity: updates of the application fail while "
            "it is published",
            f"ALTER TABLE {name} REPLICA IDENTITY DEFAULT",
        )


def _columns(table: TableShape, harm: Effect) -> Iterator[ShapeDifference]:
    for vector, *provenance in table.wanted:
        there = table.columns.get(vector)
        if there is None:
            yield _found(harm, table.table, f"table {table.table} has no column {vector}", INIT)
        # The type is printed with its length, and with its schema outside the search path.
        elif there.split("(", 1)[0].rsplit(".", 1)[-1] != "vector":
            yield _found(
                harm,
                table.table,
                f"column {table.table}.{vector} is of type {there}, not vector",
                "name the vector column in [[tables]] column",
            )
        for column in provenance:
            if column not in table.columns:
                yield _found(harm, table.table, f"table {table.table} has no column {column}", INIT)


def _missed(table: TableName | None, sentence: str, fix: str, about: str = "") -> ShapeDifference:
    return _found(Effect.MISSED, table, sentence, fix, about)


def _found(
    effect: Effect, table: TableName | None, sentence: str, fix: str, about: str = ""
) -> ShapeDifference:
    """`about` is the table's line in `doctor` where it is left out."""
    return ShapeDifference(
        effect, table, Difference(sentence, fix, about or (f"table {table}" if table else ""))
    )
