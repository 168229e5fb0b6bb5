"""The independent checker: own SQL, own composing, hashing and digests, own rule of
what shows nothing, own reading of offsets. It imports one thing of the pipeline, the
lexical model, to make every vector again and compare it.

Hazard: the order of reads is a rule. Committed offsets before log ends, both before
rows: what a commit covers must then be in the rows or in what is not committed yet.
"""

import hashlib
import json
import struct
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg2
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.models.lexical import LexicalEmbedder
from schemas.rows.document import Vector
from schemas.settings.sections import ModelSettings
from tests.soak.tables import (
    DIMENSIONS,
    PROVENANCE,
    READ,
    VECTOR,
    Table,
    Text,
    Unreadable,
    is_blank,
    is_refused,
)

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
_GOOD_WRITES = ("written", "written again", "cleared", "text changed by a trigger")
_STATES = ("current", "blank", "quarantined", "unreadable")
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class Wrong:
    """A row that was not handled, and how that shows."""

    table: Table
    key: tuple[Any, ...]
    problem: str

    def __str__(self) -> str:
        return f"{self.table.name} {self.key} {self.problem}"


@dataclass
class Judgement:
    """What the rows came to at a moment when everything was said to be handled.

    Attributes:
        checked: rows looked at.
        refused: of these, rows with a text that the model refuses, or a trigger changes
            every time.
        unreadable: of these, rows of which Postgres makes no text.
        lost: rows that are neither current, blank, nor in quarantine for a reason.
        untrue: vectors that are not what the model makes of the row's text.
        miscounted: tables of which the product counts something else.
    """

    checked: int = 0
    refused: int = 0
    unreadable: int = 0
    lost: list[Wrong] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Row:
    """A row as read: its vector as Postgres writes it, and what stands beside it."""

    key: tuple[Any, ...]
    text: Text
    vector: str | None
    provenance: Sequence[Any]


class Rows:
    """What the tables hold."""

    def __init__(self, dsn: str, tables: Sequence[Table]) -> None:
        """Remember how to connect; each question opens a connection of its own."""
        self._dsn = dsn
        self._tables = tables
        self._model = LexicalEmbedder(ModelSettings(name="lexical", dimensions=DIMENSIONS))
        self._made: dict[bytes, Vector] = {}

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

    def check(self) -> Judgement:
        """Judge every row, and embed every text again (I1, I2, I10)."""
        found = Judgement()
        quarantine = self._quarantine()
        for table in self._tables:
            counts: Counter[str] = Counter()
            full = []
            for row in self._read(table):
                state = _state(table, row.text)
                counts[state] += 1
                match state:
                    case "current":
                        problem = self._judge(row)
                    case "blank":
                        problem = _not_empty(row)
                    case _:
                        problem = self._isolated(table, row, quarantine)
                found.lost += [Wrong(table, row.key, problem)] if problem else []
                full += [row] if state == "current" and row.vector else []
            found.checked += counts.total()
            found.refused += counts["quarantined"]
            found.unreadable += counts["unreadable"]
            found.untrue += self._compare(table, full)
            found.miscounted += self._recount(table, counts)
        return found

    def _read(self, table: Table) -> Iterator[_Row]:
        columns = ", ".join((*table.key, *table.texts, f"{VECTOR}::text", *PROVENANCE))
        split, end = len(table.key), len(table.key) + len(table.texts)
        for row in self.ask(f"SELECT {columns} FROM {table.name}"):
            yield _Row(tuple(row[:split]), table.compose(row[split:end]), row[end], row[end + 1 :])

    def _quarantine(self) -> dict[tuple[str, tuple[str, ...]], tuple[bytes, str, str]]:
        found = self.ask("SELECT table_name, key, hash, model, reason FROM vectrue.quarantine")
        return {
            (name, tuple(key)): (bytes(hash_), model, reason)
            for name, key, hash_, model, reason in found
        }

    def _isolated(
        self, table: Table, row: _Row, quarantine: Mapping[Any, tuple[bytes, str, str]]
    ) -> str | None:
        """A row that can have no vector of its text stands in quarantine, with this
        text or none, and the reason.
        """
        listed = quarantine.get((f"public.{table.name}", tuple(map(str, row.key))))
        what = row.text.condition if isinstance(row.text, Unreadable) else "a text that is refused"
        if listed is None:
            return f"has {what}, and is not in quarantine"
        hash_ = b"" if isinstance(row.text, Unreadable) else _hash(str(row.text))
        if listed[0] != hash_ or listed[1] != self._model.model_id:
            return f"has {what}, and is in quarantine with another text or model"
        if isinstance(row.text, Unreadable):
            said = listed[2].endswith(f" {what}") and len(listed[2]) < len(what) + 60
            return None if said else f"has {what}, and is in quarantine because {listed[2]!r}"
        return None if listed[2] else "is in quarantine without a reason"

    def _judge(self, row: _Row) -> str | None:
        hash_, model, at, digest = row.provenance
        if row.vector is None or hash_ is None:
            return "has no vector"
        if bytes(hash_) != _hash(str(row.text)):
            return f"has the vector of another text (embedded at {at})"
        if model != self._model.model_id or at is None:
            return f"has a vector of model {model} of {at}"
        vector = np.array(json.loads(row.vector), dtype=np.float32)
        if (
            vector.shape != (DIMENSIONS,)
            or not np.isfinite(vector).all()
            or abs(np.linalg.norm(vector) - 1) > 1e-3
        ):
            return f"has no unit vector of {DIMENSIONS} finite numbers"
        sent = struct.pack(">HH", DIMENSIONS, 0) + vector.astype(">f4").tobytes()
        wanted = hashlib.sha256(sent).digest()[:_DIGEST_BYTES]
        # Behind it stands which transaction wrote it, for counts.
        return (
            None
            if digest and bytes(digest)[:_DIGEST_BYTES] == wanted
            else "has a vector that is not the one that was written"
        )

    def _compare(self, table: Table, rows: Sequence[_Row]) -> list[str]:
        """Vectors of another text, in whichever way they came there."""
        texts = {_hash(str(row.text)): str(row.text) for row in rows}
        fresh = {hash_: _counted(text) for hash_, text in texts.items() if hash_ not in self._made}
        self._made |= dict(
            zip(fresh, self._model.encode_documents(list(fresh.values())), strict=True)
        )
        wrong = []
        for row in rows:
            cosine = float(np.dot(self._made[_hash(str(row.text))], json.loads(str(row.vector))))
            if cosine < 0.999:
                wrong.append(
                    f"{table.name} {row.key} has another vector than its text (cosine {cosine:.4f})"
                )
        return wrong

    def _recount(self, table: Table, counts: Mapping[str, int]) -> list[str]:
        """What the product counts has to be what was seen."""
        columns = ", ".join(("rows", *_STATES))
        select = f"SELECT {columns} FROM vectrue.coverage WHERE table_name = %s"
        said = [tuple(map(int, line)) for line in self.ask(select, (f"public.{table.name}",))]
        seen = [(sum(counts.values()), *(counts[state] for state in _STATES))]
        return (
            []
            if said == seen
            else [f"{table.name}: coverage says {said}, not {seen}, of {columns}"]
        )

    def audit(self) -> tuple[dict[str, int], list[str]]:
        """What the audit trigger noted: writes by kind, and those that break I4 or I5."""
        counts = {
            str(what): int(n)
            for what, n in self.ask("SELECT what, count(*) FROM soak.audit GROUP BY what")
        }
        bad = self.ask(
            (
                "SELECT what, table_name, at, key FROM soak.audit WHERE what <> ALL(%s) ORDER "
                "BY at "
                "LIMIT 5"
            ),
            (list(_GOOD_WRITES),),
        )
        return counts, [f"I4, I5: {what} in {table} at {at}: {key}" for what, table, at, key in bad]

    def ledger(self) -> tuple[int, list[str]]:
        """Finished runs, and what is wrong in their chunks."""
        finished = int(self.ask("SELECT count(*) FROM vectrue.replays WHERE state = 'done'")[0][0])
        total = " + ".join(_COUNTS)
        bad = self.ask(
            f"SELECT run, chunk, total_keys, done_keys, {total}, failed"
            " FROM vectrue.replay_chunks JOIN vectrue.replays USING (run)"
            f" WHERE state = 'done' AND (done_keys <> total_keys OR {total} <> done_keys OR "
            "failed <> 0)"
        )
        return finished, [
            f"chunk {run}/{chunk} of a finished run: {keys} keys, {done} done, counts add to "
            f"{added}, {failed} failed"
            for run, chunk, keys, done, added, failed in bad
        ]


def _state(table: Table, text: Text) -> str:
    """What the product is to call a row with this text, once it is handled."""
    if isinstance(text, Unreadable):
        return "unreadable"
    if text is None or is_blank(text):
        return "blank"
    return "quarantined" if is_refused(table, text) else "current"


def _not_empty(row: _Row) -> str | None:
    beside = (row.vector, *row.provenance)
    return (
        "is blank and has a vector or its parts"
        if any(part is not None for part in beside)
        else None
    )


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _counted(text: str) -> str:
    """What the lexical model makes a vector of: so many characters, composed."""
    return unicodedata.normalize("NFC", text[:READ])


class Offsets:
    """Where the consumer groups stand. Every question opens a client of its own, and
    never joins a group.
    """

    def __init__(self, servers: str) -> None:
        """Remember how to connect."""
        self._options: dict[str, Any] = {"bootstrap.servers": servers, "log_level": 0}

    def consumer(self, group: str) -> Consumer:
        """A consumer that may ask for the group's commits, and is not a member as long as
        it does not subscribe.
        """
        options = {
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
        return Consumer({**self._options, **options})

    def lag(self, group: str, topics: Sequence[str]) -> int:
        """Records of the topics that the group has not committed; a log never committed
        counts from its start.

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
                low, high = consumer.get_watermark_offsets(
                    TopicPartition(place.topic, place.partition), timeout=5
                )
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
        return len(
            admin.describe_consumer_groups([group], request_timeout=5)[group].result(30).members
        )


AWAY = (psycopg2.Error, KafkaException)
"""A service that a fault has just taken away."""
