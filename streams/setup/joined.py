"""What `init` has the keeper look at: tables that join capture, and lost topics.

The rows that existed at the very first `init` are not looked at: they are counted in
its report, and the replay fills them.

Hazard: a table is captured from when both the publication and the connector's list name
it. So it is asked for before either is changed, so that an interrupted `init` does not
forget it, and again once the connector runs, so that a look that began in between does
not count.
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
    """Return the tables of a publication; None when it does not exist.

    Raises:
        TransientError: Postgres does not answer.
    """
    lines = session.rows(queries.text("publication_facts"), {"publication": publication})
    if not lines:
        return None
    return {TableName(table["schema"], table["name"]) for table in lines[0][2]}


def unpublished(before: Collection[TableName] | None, tables: Sequence[TableName]) -> Asked:
    """Return the tables that come into a publication that existed before.

    Args:
        before: the tables that were published before; None without a publication.
        tables: those of the settings.
    """
    if before is None:
        return {}
    return {table: "it came into the publication" for table in tables if table not in before}


def uncaptured(config: Mapping[str, str] | None, tables: Sequence[TableName]) -> Asked:
    """Return the tables that a connector's configuration did not name so far.

    Args:
        config: of the connector; None when it did not exist.
        tables: those of the settings.
    """
    # The slot keeps what a missing connector did not read.
    if config is None:
        return {}
    named = config.get("table.include.list", "").split(",")
    asked: Asked = {}
    for table in tables:
        if pattern(table.schema, table.name) in named:
            continue
        asked[table] = "the connector did not read it before"
    return asked


def without_topic(
    settings: Settings,
    before: Collection[TableName] | None,
    tables: Sequence[TableName],
    made: Collection[str],
) -> Asked:
    """Return the tables whose events, or deferred rows, were lost with a topic.

    Args:
        settings: give the topics' names.
        before: the tables that were published before; None without a publication.
        tables: those of the settings.
        made: the topics that were created.
    """
    asked: Asked = {}
    deferred = settings.deferred_topic
    for table in tables:
        # A table that was not captured lost nothing with a topic.
        if table not in (before or ()):
            continue
        topic = table.topic(settings.kafka.topic_prefix)
        if deferred in made:
            asked[table] = f"topic {deferred} was gone and was created again"
        elif topic in made:
            asked[table] = f"topic {topic} was gone and was created again"
    return asked


def ask(session: Session, settings: Settings, asked: Asked) -> list[str]:
    """Have the keeper look; return a line for each reason.

    Raises:
        TransientError: Postgres does not answer.
    """
    lines: list[str] = []
    for reason in dict.fromkeys(asked.values()):
        tables = [table for table, why in asked.items() if why == reason]
        looks.ask(session, settings.kafka.topic_prefix, tables, reason)
        names = ", ".join(map(str, tables))
        lines.append(f"have the keeper look at all rows of {names}: {reason}")
    return lines
