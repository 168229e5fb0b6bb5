"""The independent checker: own SQL, own hashing, own reading of offsets. It imports one thing of the pipeline, the
lexical model, to make vectors of a sample again and compare them.

Hazard: the order of reads is a rule. Committed offsets before log ends, both before rows: what a commit covers must
then be in the rows or in what is not committed yet.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import psycopg2
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.models.lexical import LexicalEmbedder
from schemas.sections import ModelSettings
from tests.soak.tables import DIMENSIONS, POISON, PROVENANCE, VECTOR, Table, compose, is_blank, is_poison

_COUNTS = (
    "embedded",
    "cleared",
    "current",
    "blank",
    "gone",
    "changed",
    "deferred",
    "quarantined",
    "failed",
    "obsolete",
)
_CONTENT = r"({text}) !~ E'\\A[ \\t\\r\\n]*\\Z'"
_NOTHING = " AND ".join(f"{column} IS NULL" for column in (VECTOR, *PROVENANCE))

AUDIT = f"""
CREATE SCHEMA soak;
CREATE TABLE soak.audit (table_name text, what text, key text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION soak.audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE content text; what text;
BEGIN
    EXECUTE format('SELECT %s FROM (SELECT ($1).*) AS doc', TG_ARGV[0]) USING NEW INTO content;
    what := CASE
        WHEN NEW.embedding_hash IS NULL AND NEW.{VECTOR} IS NOT NULL THEN 'vector without hash'
        WHEN NEW.embedding_hash IS NULL AND content ~ '[^ \t\r\n]' THEN 'cleared over text'
        WHEN NEW.embedding_hash IS NOT NULL AND NEW.{VECTOR} IS NULL THEN 'hash without vector'
        WHEN NEW.embedding_hash IS NULL THEN 'cleared'
        WHEN NEW.embedding_hash IS DISTINCT FROM sha256(convert_to(content, 'UTF8')) THEN 'stale over fresh'
        WHEN NEW.embedding_hash IS NOT DISTINCT FROM OLD.embedding_hash THEN 'written again'
        ELSE 'written' END;
    INSERT INTO soak.audit VALUES (TG_TABLE_NAME, what, left(to_jsonb(NEW)::text, 200));
    RETURN NULL;
END $$;
"""
"""A trigger on every write of a vector, in the writer's own transaction: an embedding of another text than the row's
is noted at the moment it lands (I4), also when a later one would cover it up."""


def audit_trigger(table: Table) -> str:
    """DDL of the audit trigger of a table, which has its provenance columns already."""
    columns = ", ".join((VECTOR, *PROVENANCE))
    text = table.expression.replace("'", "''")
    return (
        f"CREATE TRIGGER soak_audit AFTER UPDATE OF {columns} ON {table.name}"
        f" FOR EACH ROW EXECUTE FUNCTION soak.audit('{text}')"
    )


@dataclass(frozen=True)
class Wrong:
    """A row that was not handled, and how that shows."""

    table: Table
    key: tuple[Any, ...]
    problem: str

    def __str__(self) -> str:
        return f"{self.table.name} {self.key} {self.problem}"


@dataclass(frozen=True)
class Judgement:
    """What the rows came to at a moment when everything was said to be handled.

    Attributes:
        checked: rows looked at.
        poisoned: of these, rows whose text the model refuses.
        lost: rows that are neither current, blank, nor in quarantine for a reason.
        untrue: vectors of the sample that are not what the model makes of the row's text.
    """

    checked: int
    poisoned: int
    lost: list[Wrong]
    untrue: list[str]


class Rows:
    """What the tables hold."""

    def __init__(self, dsn: str, tables: Sequence[Table], seed: int) -> None:
        """Remember how to connect; each question opens a connection of its own."""
        self._dsn = dsn
        self._tables = tables
        self._random = Random(f"{seed}/sample")
        self._model = LexicalEmbedder(ModelSettings(name="lexical", dimensions=DIMENSIONS))

    def ask(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement.

        Raises:
            psycopg2.Error: Postgres is away.
        """
        connection = psycopg2.connect(self._dsn, connect_timeout=5, application_name="soak checker")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def unsettled(self) -> int:
        """Rows that are neither current nor blank, counted by Postgres: quick, and only for waiting."""
        parts = []
        for table in self._tables:
            content = f"coalesce({_CONTENT.format(text=table.expression)}, false)"
            current = (
                f"{VECTOR} IS NOT NULL AND embedding_model = %s"
                f" AND embedding_hash = sha256(convert_to({table.expression}, 'UTF8'))"
            )
            good = (
                f"CASE WHEN {table.expression} LIKE '%%{POISON}%%' THEN true"
                f" WHEN {content} THEN coalesce({current}, false) ELSE {_NOTHING} END"
            )
            parts.append(f"(SELECT count(*) FROM {table.name} WHERE NOT ({good}))")
        return int(self.ask(f"SELECT {' + '.join(parts)}", [self._model.model_id] * len(parts))[0][0])

    def check(self, sample: int) -> "Judgement":
        """Judge every row, and embed a sample of each table again (I1, I2, I10)."""
        checked = poisoned = 0
        lost: list[Wrong] = []
        untrue: list[str] = []
        quarantine = self._quarantine()
        for table in self._tables:
            columns = ", ".join((*table.key, *table.texts, f"{VECTOR}::text", *PROVENANCE))
            rows = self.ask(f"SELECT {columns} FROM {table.name}")
            checked += len(rows)
            split = len(table.key)
            for row in rows:
                text = compose(row[split : split + len(table.texts)])
                if is_poison(text):
                    poisoned += 1
                    problem = self._isolated(table, row[:split], str(text), quarantine)
                else:
                    problem = self._judge(table, row[split:])
                lost += [Wrong(table, tuple(row[:split]), problem)] if problem else []
            untrue += self._compare(table, rows, sample)
        return Judgement(checked, poisoned, lost, untrue)

    def _quarantine(self) -> dict[tuple[str, tuple[str, ...]], tuple[bytes, str, str]]:
        found = self.ask("SELECT table_name, key, hash, model, reason FROM embedsync.quarantine")
        return {(name, tuple(key)): (bytes(hash_), model, reason) for name, key, hash_, model, reason in found}

    def _isolated(
        self, table: Table, key: Sequence[Any], text: str, quarantine: Mapping[Any, tuple[bytes, str, str]]
    ) -> str | None:
        listed = quarantine.get((f"public.{table.name}", tuple(map(str, key))))
        if listed is None:
            return "has a text that the model refuses, and is not in quarantine"
        if listed[0] != hashlib.sha256(text.encode()).digest() or listed[1] != self._model.model_id:
            return "is in quarantine with another text or model"
        return None if listed[2] else "is in quarantine without a reason"

    def _judge(self, table: Table, row: Sequence[Any]) -> str | None:
        text = compose(row[: len(table.texts)])
        stored, hash_, model, at = row[len(table.texts) :]
        if is_blank(text) or text is None:
            return None if (stored, hash_, model, at) == (None,) * 4 else "is blank and has a vector or its parts"
        if stored is None or hash_ is None:
            return "has no vector"
        if bytes(hash_) != hashlib.sha256(text.encode()).digest():
            return f"has the vector of another text (embedded at {at})"
        if model != self._model.model_id or at is None:
            return f"has a vector of model {model} of {at}"
        vector = np.array(json.loads(stored))
        if vector.shape != (DIMENSIONS,) or not np.isfinite(vector).all() or abs(np.linalg.norm(vector) - 1) > 1e-3:
            return f"has no unit vector of {DIMENSIONS} finite numbers"
        return None

    def _compare(self, table: Table, rows: Sequence[Sequence[Any]], sample: int) -> list[str]:
        split, end = len(table.key), len(table.key) + len(table.texts)
        full = [
            (row[:split], text, row[end])
            for row in rows
            if not is_blank(text := compose(row[split:end])) and not is_poison(text) and row[end]
        ]
        chosen = self._random.sample(full, min(sample, len(full)))
        made = self._model.encode_documents([str(text) for _, text, _ in chosen])
        wrong = []
        for (key, _, stored), vector in zip(chosen, made, strict=True):
            cosine = float(np.dot(vector, json.loads(stored)))
            if cosine < 0.999:
                wrong.append(f"{table.name} {tuple(key)} has another vector than its text (cosine {cosine:.4f})")
        return wrong

    def audit(self) -> tuple[dict[str, int], list[str]]:
        """What the audit trigger noted: writes by kind, and those that break I4 or I5."""
        counts = {str(what): int(n) for what, n in self.ask("SELECT what, count(*) FROM soak.audit GROUP BY what")}
        bad = self.ask(
            "SELECT what, table_name, at, key FROM soak.audit"
            " WHERE what NOT IN ('written', 'written again', 'cleared') ORDER BY at LIMIT 5"
        )
        return counts, [f"I4, I5: {what} in {table} at {at}: {key}" for what, table, at, key in bad]

    def ledger(self) -> tuple[int, list[str]]:
        """Finished runs, and what is wrong in their chunks."""
        finished = int(self.ask("SELECT count(*) FROM embedsync.replays WHERE state = 'done'")[0][0])
        total = " + ".join(_COUNTS)
        bad = self.ask(
            f"SELECT run, chunk, total_keys, done_keys, {total}, failed"
            " FROM embedsync.replay_chunks JOIN embedsync.replays USING (run)"
            f" WHERE state = 'done' AND (done_keys <> total_keys OR {total} <> done_keys OR failed <> 0)"
        )
        return finished, [
            f"chunk {run}/{chunk} of a finished run: {keys} keys, {done} done, counts add to {added}, {failed} failed"
            for run, chunk, keys, done, added, failed in bad
        ]


class Offsets:
    """Where the consumer groups stand. Every question opens a client of its own, and never joins a group."""

    def __init__(self, servers: str) -> None:
        """Remember how to connect."""
        self._options: dict[str, Any] = {"bootstrap.servers": servers, "log_level": 0}

    def consumer(self, group: str) -> Consumer:
        """A consumer that may ask for the group's commits, and is no member as long as it does not subscribe."""
        options = {
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
        return Consumer({**self._options, **options})

    def lag(self, group: str, topics: Sequence[str]) -> int:
        """Records of the topics that the group has not committed; a log never committed counts from its start.

        Raises:
            KafkaException: the broker is away.
        """
        consumer = self.consumer(group)
        try:
            known = consumer.list_topics(timeout=5).topics
            places = [TopicPartition(t, p) for t in topics for p in known[t].partitions]
            committed = consumer.committed(places, timeout=5)
            lag = 0
            for place in committed:
                low, high = consumer.get_watermark_offsets(TopicPartition(place.topic, place.partition), timeout=5)
                lag += high - (place.offset if place.offset >= 0 else low)
            return lag
        finally:
            consumer.close()

    def members(self, group: str) -> int:
        """Members of the group.

        Raises:
            KafkaException: the broker is away.
        """
        admin = AdminClient(self._options)
        return len(admin.describe_consumer_groups([group], request_timeout=5)[group].result(30).members)


AWAY = (psycopg2.Error, KafkaException)
"""A service that a fault has just taken away."""
