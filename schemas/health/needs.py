"""What each check of `vectrue doctor` needs to hold.

These are the parts whose trouble explains that it does not.

Pure. A part is the check of the problem, or a name below where a check reports more
than one. They are in the order in which a change meets them, and a part needs only such
as stand before it.

Hazard: a need that is too wide hides a cause. What can be wrong by itself needs
nothing, whatever else is wrong.
"""

from schemas.settings.reading import Settings

POSTGRES = "Postgres"
INIT = "init"
"""That `vectrue init` was run to its end, for this prefix."""
SCHEMA = "schema vectrue"
RIGHTS = "rights"
MODEL = "model"
KAFKA = "Kafka"
TOPICS = "topics"
WORKERS = "live workers"
CONNECT = "Kafka Connect"
DEBEZIUM = "Debezium"
READER = "reader of the slot"
OFFSET = "offset"

SET_UP = (POSTGRES, INIT)
"""Of what `init` makes."""
KEPT = (POSTGRES, INIT, SCHEMA, RIGHTS)
"""Of what is read in the schema vectrue."""


class Needs:
    """What checks need under these settings, where that depends on names."""

    def __init__(self, settings: Settings) -> None:
        """Make the names."""
        self.publication = f"publication {settings.postgres.publication}"
        self.slot = f"slot {settings.slot}"
        self.connector = f"connector {settings.connector}"
        self.configuration = f"configuration of {settings.connector}"
        parts: list[str] = []
        for one in settings.tables:
            parts += [table(one.name), length(one.name, one.column)]
        self._tables = tuple(parts)

    @property
    def running(self) -> tuple[str, ...]:
        """Of a connector that runs, where it fails: what it reads and writes to."""
        return (*SET_UP, self.publication, self.slot, KAFKA)

    @property
    def reader(self) -> tuple[str, ...]:
        """Of a slot that is read and moves, and of the connector's heartbeat."""
        return (
            *SET_UP,
            self.publication,
            self.slot,
            KAFKA,
            TOPICS,
            CONNECT,
            DEBEZIUM,
            self.connector,
        )

    @property
    def workers(self) -> tuple[str, ...]:
        """Of a worker, which ends where it cannot work."""
        return (*KEPT, MODEL, *self._tables, KAFKA, TOPICS)

    @property
    def canary(self) -> tuple[str, ...]:
        """Of the row that travels the whole way."""
        way = (
            TOPICS,
            WORKERS,
            CONNECT,
            DEBEZIUM,
            self.connector,
            self.configuration,
            READER,
            OFFSET,
        )
        return (*KEPT, self.publication, self.slot, KAFKA, *way)


def table(name: str) -> str:
    """The line of a table; `name` as configured."""
    return f"table {name}"


def length(name: str, column: str) -> str:
    """The line of a vector column's length."""
    return f"dimensions of {name}.{column}"
