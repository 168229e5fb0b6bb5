"""What the tests of migrations share: tables of questions, the verbs as a person types
them, and rows filled in place.

No capture and no worker: `set_up` makes what `init` makes in the database, `fill` is
the live lane in this process.
"""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

from connectors.clock import SystemClock
from connectors.postgres import statement
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from connectors.twins.memory import MemoryOutbox
from schemas.messages.record import Record
from streams.common import embedders, targets
from streams.common.retry import RetryPolicy
from streams.setup import connection
from streams.setup import plan as setup_plan
from streams.worker.live import Sync
from streams.worker.settle import RowSettler
from tests.support.workplace import Workplace

TO = ("--model", "lexical", "--dimensions", "96")


def table(place: Workplace, name: str, rows: int = 20) -> None:
    """A table like the example's, with rows."""
    place.execute(
        f"CREATE TABLE {name} (id bigint PRIMARY KEY, question text, embedding vector(64))"
    )
    place.execute(
        f"INSERT INTO {name} SELECT i, 'question ' || i || ' of ' || md5(i::text) FROM "
        f"generate_series(1, {rows}) i"
    )


def true_tables(make: Callable[..., Workplace], *names: str) -> Workplace:
    """A workplace with these tables, of 20 rows each with true vectors of 64 numbers."""
    made = make(tables=[{"name": name, "text": "question"} for name in names])
    for name in names:
        table(made, name)
    set_up(made)
    fill(made)
    return made


def set_up(place: Workplace) -> None:
    """What `init` makes in the database, without slot, topics and connector."""
    with closing(connection.admin(place.settings)) as session:
        for step in setup_plan.bookkeeping(place.settings, session):
            statement.run(session, step, lock_seconds=5, clock=SystemClock())


def fill(place: Workplace) -> None:
    """Make all rows of the settings' tables true, in every column that is kept, as a
    replay would.
    """
    prefix, clock = place.settings.kafka.topic_prefix, SystemClock()
    store = PostgresStore(place.settings.postgres, role="test", prefix=prefix)
    with (
        closing(Session(place.settings.postgres.dsn, role="test", prefix=prefix)) as session,
        closing(store),
    ):
        found = targets.resolve(place.settings, session)
        models = embedders.for_targets(place.settings, session, found)
        retry = RetryPolicy(clock, seconds=5, lane="live")
        settler = RowSettler(store, models, clock, retry, lane="live")
        sync = Sync(
            found,
            store,
            settler,
            MemoryOutbox(),
            clock=clock,
            retry=retry,
            settings=place.settings.live,
            origin="vectrue",
        )
        for name in {target.table for target in found}:
            rows = place.execute(f"SELECT id FROM {name}")
            source = json.dumps({"schema": name.schema, "table": name.name})
            events = [
                f'{{"op":"u","source":{source},"after":{{"id":{key}}}}}'.encode() for (key,) in rows
            ]
            sync.handle(
                [
                    Record("t", 0, i, b'{"id":%d}' % key, event)
                    for i, ((key,), event) in enumerate(zip(rows, events, strict=True))
                ]
            )


def migrate(place: Workplace, *arguments: str) -> str:
    """A verb that must succeed; returns what it said."""
    return place.vectrue("migrate", *arguments).stderr


def refused(place: Workplace, *arguments: str) -> str:
    """The sentence with which a verb is refused; 2 where it asks for --yes."""
    done = place.vectrue("migrate", *arguments, check=False)
    asks = "--yes" in done.stderr and "--yes" not in arguments
    assert done.returncode in ((2,) if asks else (1, 78)), done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def status(place: Workplace, *arguments: str) -> dict[str, Any]:
    """`migrate status` as JSON."""
    found: dict[str, Any] = json.loads(
        place.vectrue("migrate", "status", *arguments, "-o", "json").stdout
    )
    return found


def states(place: Workplace) -> dict[str, str]:
    """The newest state of each table."""
    lines = place.execute(
        "SELECT DISTINCT ON (table_name) table_name, state FROM vectrue.column_migrations "
        "ORDER BY table_name, id DESC"
    )
    return dict(lines)


def columns(place: Workplace, name: str) -> set[str]:
    """The vector columns of a table."""
    lines = place.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND NOT attisdropped "
        "AND atttypid = 'vector'::regtype",
        (name,),
    )
    return {column for (column,) in lines}


def length(place: Workplace, name: str, column: str = "embedding") -> int:
    """Declared length of a vector column."""
    return int(
        place.value(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
            (name, column),
        )
    )
