"""Keys whose text differs between the connector and Postgres, through the whole path:
one row, never two.
"""

from contextlib import ExitStack

import psycopg2
import pytest

from tests.conftest import MakeWorkplace
from tests.support.locks import end_offsets, transaction, unseen
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

# fmt: off
KEYS: dict[str, tuple[str, ...]] = {
    "timestamptz": ("2026-01-31 10:00:00+09", "2026-01-31 10:00:00.123456-03:30", "infinity",
                    "-infinity", "0044-03-15 12:00:00.5 BC", "12026-01-31 10:00:00+00",
                    "4714-11-24 00:00:00+00 BC"),
    "timestamptz(0)": ("1969-12-31 23:59:59+00",),
    "timestamp": ("2026-01-31 10:00:00", "2026-01-31 10:00:00.1", "1500-02-28 00:00:00",
                  "infinity", "-infinity", "0044-03-15 12:00:00.5 BC",
                  "294276-12-31 23:59:59.999999"),
    "date": ("2026-01-31", "1500-02-28", "infinity", "-infinity", "0001-01-01 BC", "5874897-12-31"),
    "numeric": ("1.10", "100000000000000000000", "0.0000001", "NaN", "Infinity", "-Infinity",
                "1e50"),
    "numeric(12,4)": ("7",),
    "char(6)": ("ab", "한글"),
    "mood": ("o'k", "ok"),
    "moment": ("2026-01-31 10:00:00+09", "infinity"),
    "amount": ("10.50",),
    "bool": ("true", "false"),
    "varchar(9)": ("x ", " 7", "", "NAN", "+9999-1"),
}
# fmt: on
TABLES = [f"public.k{number}" for number in range(len(KEYS))]


def settled(place: Workplace, **wanted: int) -> None:
    """Wait until each table has these counts, for as many rows as it has keys."""
    for table, values in zip(TABLES, KEYS.values(), strict=True):
        counts = {name: share * len(values) for name, share in wanted.items()}
        until(
            lambda table=table, counts=counts: counts.items() <= place.coverage(table).items(),  # type: ignore[misc] # bound per round
            what=f"{table} ({values}) to have {counts}",
        )


def test_each_row_has_one_key_whoever_writes_it(make_workplace: MakeWorkplace) -> None:
    """Insert, lock and deferral, update, quarantine, replay, delete: each row is found
    by every key text it has.
    """
    check = "CHECK (body <> 'poison' OR embedding IS NULL)"
    place = make_workplace(
        tables=[{"name": name, "text": "body"} for name in TABLES],
        kafka={"partitions": 1},
        live={"early_wait_ms": 20, "defer_seconds": 0.2},
    )
    place.execute("CREATE TYPE mood AS ENUM ('ok', 'o''k')")
    place.execute("CREATE DOMAIN moment AS timestamptz; CREATE DOMAIN amount AS numeric(9, 2)")
    for table, kind in zip(TABLES, KEYS, strict=True):
        place.execute(
            f"CREATE TABLE {table} (id {kind} PRIMARY KEY, body text, embedding vector(64), "
            f"{check})"
        )
    place.vectrue("init")
    for table, values in zip(TABLES, KEYS.values(), strict=True):
        for value in values:
            place.execute(f"INSERT INTO {table} VALUES (%s, 'x')", (value,))
    with ExitStack() as held:
        held.enter_context(
            transaction(place, *(f"SELECT FROM {table} FOR UPDATE" for table in TABLES))
        )
        place.start_worker("live")
        rows = sum(map(len, KEYS.values()))
        until(
            lambda: end_offsets(place, place.settings.deferred_topic) >= rows,
            what="each row to be deferred",
        )
    settled(place, current=1)
    everywhere(place, "UPDATE {} SET body = 'poison', embedding = NULL")
    settled(place, quarantined=1)
    # Every session that counts sees the same, whatever the time zone and date style of the
    # session.
    with psycopg2.connect(place.settings.postgres.dsn) as abroad, abroad.cursor() as cursor:
        cursor.execute(
            "SET TimeZone = 'Asia/Seoul'; SET DateStyle = 'German'; SELECT sum(quarantined) "
            "FROM vectrue.coverage"
        )
        assert cursor.fetchall() == [(rows,)]
    abroad.close()
    everywhere(place, "UPDATE {} SET body = 'fine'")
    settled(place, current=1, quarantined=0)
    assert place.value("SELECT count(*) FROM vectrue.quarantine") == 0
    for table in TABLES:
        unseen(place, f"UPDATE {table} SET body = 'unseen'")
    settled(place, stale_text=1)
    place.start_worker("replay")
    place.vectrue("replay", "run")
    settled(place, current=1)
    everywhere(place, "DELETE FROM {}")
    assert end_offsets(place, place.settings.dead_letter_topic) == 0


def everywhere(place: Workplace, statement: str) -> None:
    for table in TABLES:
        place.execute(statement.format(table))
