"""Other installations in the same database, and what `init` must not take from them.

Nor may a file that lists less take something from its own.

Hazard: a copy of a database brings the lines of its installations along. An
installation is at work here while its replication slot belongs to this very database;
one that is not may be replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import counting, installation
from connectors.postgres.setup.counting import VectorColumn
from connectors.postgres.setup.installation import Installation
from schemas.errors import ConfigurationError
from schemas.rows.table import TableName
from schemas.settings.reading import Settings, slug


@dataclass(frozen=True, slots=True)
class OtherInstallation:
    """An installation of another prefix.

    Attributes:
        prefix: its kafka.topic_prefix.
        slot: name of its replication slot.
        publication: its name.
        connector: its name in Kafka Connect.
        tables: those that it keeps.
        alive: whether its slot is one of this database.
    """

    prefix: str
    slot: str
    publication: str
    connector: str
    tables: frozenset[str]
    alive: bool


def read(session: Session, settings: Settings) -> list[OtherInstallation]:
    """All others that this database knows of.

    Raises:
        TransientError: Postgres does not answer.
    """
    recorded, kept = _recorded(session)
    # A copy of a database brings the lines along, and not the slots.
    slots = {name for (name,) in session.rows(queries.text("own_slots"))}
    kept.pop(settings.kafka.topic_prefix, None)
    found: list[OtherInstallation] = []
    for prefix in sorted(kept):
        # One that is not recorded was set up by the printed script alone so far.
        known = recorded.get(prefix)
        slot = known.slot if known else slug(prefix)
        other = OtherInstallation(
            prefix,
            slot,
            publication=known.publication if known else slug(prefix),
            connector=known.connector if known else f"{prefix}-postgres",
            tables=frozenset(kept[prefix]),
            alive=slot in slots,
        )
        found.append(other)
    return found


def _recorded(session: Session) -> tuple[dict[str, Installation], dict[str, set[str]]]:
    """The installations and their tables, by prefix; not all are recorded."""
    recorded: dict[str, Installation] = {}
    kept: dict[str, set[str]] = {}
    for one in installation.read(session):
        recorded[one.prefix] = one
        kept[one.prefix] = set()
    for line in counting.read(session):
        kept.setdefault(line.prefix, set()).add(line.table)
    return recorded, kept


def check(others: Sequence[OtherInstallation], settings: Settings) -> list[str]:
    """Refuse what would take something from an installation that is at work here.

    Returns:
        prefixes of those that are not, and whose names or tables are wanted.

    Raises:
        ConfigurationError: names or tables are the other's.
    """
    tables = {table.name for table in settings.tables}
    dead: list[str] = []
    for other in others:
        names = _shared(other, settings)
        both = sorted(tables & other.tables)
        if other.alive:
            _require_apart(other, settings, names, both)
        elif names or both:
            dead.append(other.prefix)
    return dead


def _require_apart(
    other: OtherInstallation, settings: Settings, names: Sequence[str], both: Sequence[str]
) -> None:
    prefix = settings.kafka.topic_prefix
    if slug(prefix) == slug(other.prefix):
        raise ConfigurationError(
            f"the prefixes {prefix} and {other.prefix} make the same names in Postgres "
            f"({slug(prefix)}), and {other.prefix} is set up in this database",
            fix="choose another kafka.topic_prefix",
        )
    if names:
        raise ConfigurationError(
            f"{names[0]} is that of the installation {other.prefix} in this database",
            fix="leave that setting out, so that the name follows from kafka.topic_prefix",
        )
    if both:
        raise ConfigurationError(
            f"{', '.join(both)} {'is' if len(both) == 1 else 'are'} kept by the "
            f"installation {other.prefix} of this database already",
            fix=(
                "leave it out of [[tables]]; or, to move it here, take it out of the file of "
                f"{other.prefix} and run `vectrue init --yes` with that file first"
            ),
        )


def _shared(other: OtherInstallation, settings: Settings) -> list[str]:
    shared: list[str] = []
    if other.slot == settings.slot:
        shared.append(f"the replication slot {other.slot}")
    if other.publication == settings.postgres.publication:
        shared.append(f"the publication {other.publication}")
    if other.connector == settings.connector:
        shared.append(f"the connector {other.connector}")
    return shared


def is_founded(session: Session, settings: Settings) -> bool:
    """Whether this installation was set up here before, as far as the database tells.

    Raises:
        TransientError: Postgres does not answer.
    """
    # No vectrue, or an older one, which did not record this.
    if session.rows("SELECT to_regclass('vectrue.counted') IS NULL")[0][0]:
        return bool(session.rows("SELECT to_regclass('vectrue.heartbeat') IS NOT NULL")[0][0])
    if counting.kept(session, settings.kafka.topic_prefix):
        return True
    return installation.mine(session, settings) is not None


def leaving(session: Session, settings: Settings) -> list[VectorColumn]:
    """Columns of existing tables that this installation keeps and the settings lack.

    Raises:
        TransientError: Postgres does not answer.
    """
    kept = counting.kept(session, settings.kafka.topic_prefix)
    if not kept:
        kept = _kept_by_older(session, settings)
    listed = {(table.name, table.column) for table in settings.tables}
    lacking: list[VectorColumn] = []
    for place in sorted(kept):
        if any(counting.akin(place, one) for one in listed):
            continue
        # Of a table that was dropped there is nothing to keep.
        table, _ = place
        if counting.stands(session, TableName.parse(table)):
            lacking.append(place)
    return lacking


def _kept_by_older(session: Session, settings: Settings) -> set[VectorColumn]:
    """The columns that an older vectrue kept, which recorded no installations."""
    if not session.rows("SELECT to_regclass('vectrue.targets') IS NOT NULL")[0][0]:
        return set()
    parameters = {"publication": settings.postgres.publication}
    lines = session.rows(queries.text("published"), parameters)
    published: set[str] = set()
    for line in lines:
        published.add(str(TableName(*line)))
    kept: set[VectorColumn] = set()
    for table, column in session.rows("SELECT table_name, column_name FROM vectrue.targets"):
        if table in published:
            kept.add((table, column))
    return kept
