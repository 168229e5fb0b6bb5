"""What `init` has the keeper look at: tables that join capture, and topics that were
gone.

The rows that were there at the very first `init` are no business of a look: they are
counted in its report, and are the replay's work.

Hazard: a table is captured from when both the publication and the connector's list name
it. So it is asked for before either is changed, lest an `init` that is interrupted
forgets it, and again once the connector runs, so that no look that was taken up in
between counts.
"""

from collections.abc import Collection, Mapping, Sequence

from connectors.debezium.config import pattern
from connectors.postgres import queries
from connectors.postgres.ledger import looks
from connectors.postgres.session import Session
from schemas.rows.table import TableName
from schemas.settings.reading import Settings

Asked = dict[TableName, str]
"""Why all rows of a table are to be looked at."""


def published(session: Session, publication: str) -> set[TableName] | None:
    """The tables of a publication; None where there is none of that name.

    Raises:
        TransientError: Postgres does not answer.
    """
    lines = session.rows(queries.text("publication_facts"), {"publication": publication})
    return {TableName(table["schema"], table["name"]) for table in lines[0][2]} if lines else None


def unpublished(before: Collection[TableName] | None, tables: Sequence[TableName]) -> Asked:
    """The tables that come into a publication that was there before."""
    if before is None:
        return {}
    return {table: "it came into the publication" for table in tables if table not in before}


def uncaptured(config: Mapping[str, str] | None, tables: Sequence[TableName]) -> Asked:
    """The tables that a connector's configuration did not name so far; nothing where
    there was no connector.

    Its slot keeps what a missing connector did not read.
    """
    if config is None:
        return {}
    named = config.get("table.include.list", "").split(",")
    return {
        table: "the connector did not read it before"
        for table in tables
        if pattern(*_names(table)) not in named
    }


def without_topic(
    settings: Settings,
    before: Collection[TableName] | None,
    tables: Sequence[TableName],
    made: Collection[str],
) -> Asked:
    """The tables whose events, or deferred rows, went with a topic that had to be made
    again.

    Args:
        settings: give the topics' names.
        before: the tables that were published before.
        tables: those of the settings.
        made: the topics that were made.
    """
    lost = {
        table: table.topic(settings.kafka.topic_prefix)
        for table in tables
        if table in (before or ())
    }
    if settings.deferred_topic in made:
        return dict.fromkeys(lost, f"topic {settings.deferred_topic} was gone and is made again")
    return {
        table: f"topic {topic} was gone and is made again"
        for table, topic in lost.items()
        if topic in made
    }


def ask(session: Session, settings: Settings, asked: Asked) -> list[str]:
    """Have the keeper look; returns a line for each reason.

    Raises:
        TransientError: Postgres does not answer.
    """
    lines = []
    for reason in dict.fromkeys(asked.values()):
        tables = [table for table, why in asked.items() if why == reason]
        looks.ask(session, settings.kafka.topic_prefix, tables, reason)
        lines.append(f"have the keeper look at all rows of {', '.join(map(str, tables))}: {reason}")
    return lines


def _names(table: TableName) -> tuple[str, str]:
    return table.schema, table.name
