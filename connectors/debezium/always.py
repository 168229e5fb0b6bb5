"""What the connector's configuration says whatever the settings are.

All that Debezium may emit has a place, or is off. A record whose topic `init` does not
make stops capture of all tables without an error: Kafka Connect's producer waits for
the topic for ever. Where brokers make topics by themselves, its content would be in
Kafka. So of everything that the Postgres connector can write, as its list of options
names it:

- changes of the tables: to their topics, cut to the key columns (`table.include.list`,
  `column.include.list`);
- heartbeats: to `__debezium-heartbeat.<prefix>`, which `init` makes;
- logical messages (`pg_logical_emit_message`, by any role that may connect), which
  would go to `<prefix>.message`, truncations, tombstones, transaction metadata,
  lineage: off, below;
- notifications and signals: off, since no channel for them is named; snapshots: off,
  and a signal could ask for one;
- schema changes and dead letters: the Postgres connector has none; an error fails the
  task, which every command says.

Hazards:
- Debezium's lists are regular expressions that ignore case, and whose dot ends at a
  line feed: `EXACT` and `ANYTHING`.
- The record's key always holds the primary key as the table has it, whatever the lists
  say. Where the table has lost its primary key, it holds the columns of a unique index.
"""

from collections.abc import Mapping
from typing import Final

EXACT: Final = "(?-i)"
"""In front of a name: else "Posts" in the publication would come along with posts, and
has no topic.
"""
ANYTHING: Final = "(?s).*"
"""A prefix of a logical message may hold line feeds."""

_JSON: Final = "org.apache.kafka.connect.json.JsonConverter"

ALWAYS: Final[Mapping[str, str]] = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "plugin.name": "pgoutput",
    "publication.autocreate.mode": "disabled",
    # Rows that were there before are the replay's work.
    "snapshot.mode": "no_data",
    "message.prefix.exclude.list": ANYTHING,
    "provide.transaction.metadata": "false",
    "skipped.operations": "t",
    "tombstones.on.delete": "false",
    "openlineage.integration.enabled": "false",
    "heartbeat.topics.prefix": "__debezium-heartbeat",
    "errors.tolerance": "none",
    # Key values as text that Postgres casts back to the same value.
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "key.converter": _JSON,
    "key.converter.schemas.enable": "false",
    "value.converter": _JSON,
    "value.converter.schemas.enable": "false",
}
