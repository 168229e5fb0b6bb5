"""The defects, each an exact change of one file, and the tests that must notice it.

Hazard: the old text must stand in its file exactly once; a change of the code that moves it has to be followed here,
and `make unit` says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LIVE = "tests/integration/test_live.py"
STORE = "tests/contract/test_store.py"
SYNC = "tests/unit/test_sync.py"
STEPS = "tests/unit/test_interleavings.py"
PAUSED = "tests/integration/test_interleavings.py"
ACKNOWLEDGED = "tests/fault/test_acknowledgement.py"
SQL = "connectors/postgres/sql"


@dataclass(frozen=True, slots=True)
class Defect:
    """A change of the code that breaks a promise.

    Attributes:
        name: what is broken, in words.
        file: path in the repository.
        old: text that stands there exactly once.
        new: what it becomes.
        tests: pytest's ids; at least one of them must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_MODEL_CONDITION = """    AND EXISTS (
        SELECT FROM embedsync.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s
    )
"""
_HANDLE = """            await self._guarded(self._batch(self._lane.sync.handle, events))
"""
_ACKNOWLEDGE = """            for event in events:
                await stream.ack(event)
"""
_FIVE = (
    Defect(
        "the hash condition out of the UPDATE",
        f"{SQL}/write_vectors.sql",
        "    AND sha256(convert_to(({text}\n        )::text, 'UTF8')) = asked.embedsync_hash\n",
        "",
        (PAUSED, f"{STORE}::test_a_vector_of_an_older_text_is_never_written[postgres]"),
    ),
    Defect(
        "the acknowledgement before the write",
        "streams/app.py",
        _HANDLE + _ACKNOWLEDGE,
        _ACKNOWLEDGE + _HANDLE,
        (f"{ACKNOWLEDGED}::test_an_event_is_acknowledged_after_its_write_and_not_before",),
    ),
    Defect(
        "take in place of noack_take",
        "streams/app.py",
        "stream.noack_take(size, within=linger_seconds)",
        "stream.take(size, within=linger_seconds)",
        (f"{LIVE}::test_insert_update_and_blank_text",),
    ),
    Defect(
        "the dead letter not awaited",
        "connectors/kafka/outbox.py",
        "        self._send([(topic, record.key, record.value, dead_letter.headers(record, reason, stage=stage))])\n",
        "        self._producer.produce(\n"
        "            topic, record.value, record.key, headers=dead_letter.headers(record, reason, stage=stage)\n"
        "        )\n",
        ("tests/contract/test_outbox.py::test_a_dead_letter_that_kafka_does_not_take_is_an_error",),
    ),
    Defect(
        "the visibility check out",
        "streams/sync.py",
        "[k for k in keys if not all(reading.snapshot.sees(xid) for xid in hints[k].txids)]",
        "[]",
        (STEPS, SYNC, f"{LIVE}::test_a_commit_that_waits_for_a_standby_is_not_lost"),
    ),
)
_OF_THE_WORKER = (
    Defect(
        "an acknowledgement by Faust itself (take_events), and failures let out of the loop body",
        "streams/app.py",
        "stream.noack_take(size, within=linger_seconds):\n" + _HANDLE,
        "stream.take_events(size, within=linger_seconds):\n"
        + _HANDLE.replace("self._guarded(", "").replace("events))", "events)"),
        (f"{ACKNOWLEDGED}::test_a_write_that_fails_ends_the_worker_and_acknowledges_nothing",),
    ),
    Defect(
        "a failed batch logged and passed over",
        "streams/app.py",
        "            leave(EXIT_RESTART, str(error) or type(error).__name__, error)\n",
        "            log.critical(str(error))\n",
        (f"{ACKNOWLEDGED}::test_a_write_that_fails_ends_the_worker_and_acknowledges_nothing",),
    ),
    Defect(
        "a watchdog that is never started",
        "streams/worker.py",
        "settings.watchdog, outside, leave).start()",
        "settings.watchdog, outside, leave)",
        ("tests/integration/test_watchdog.py::test_a_batch_over_its_budget_ends_the_worker_with_70",),
    ),
    Defect(
        "own writes not labelled with an origin",
        "connectors/postgres/store.py",
        "            label_origin(cursor, self._settings.origin)\n",
        "",
        (f"{LIVE}::test_an_unrelated_column_encodes_nothing_and_own_writes_bring_no_event",),
    ),
)
_OF_THE_WRITE = (
    Defect(
        "the model condition out of the UPDATE",
        f"{SQL}/write_vectors.sql",
        _MODEL_CONDITION,
        "",
        (f"{STORE}::test_a_worker_with_another_model_writes_nothing[postgres]",),
    ),
    Defect(
        "a write that waits for locked rows",
        f"{SQL}/lock_rows.sql",
        " SKIP LOCKED",
        "",
        (f"{STORE}::test_a_locked_row_is_not_waited_for_and_its_neighbours_are_written[postgres]",),
    ),
    Defect(
        "a vector cleared although there is text again",
        f"{SQL}/clear_vectors.sql",
        "    AND coalesce(({text}\n        )::text !~ '[^[:space:]]', true)\n",
        "",
        (f"{STORE}::test_a_cleared_row_has_no_vector_and_no_provenance[postgres]",),
    ),
    Defect(
        "the ledger's position out of advance_chunk",
        f"{SQL}/advance_chunk.sql",
        " AND done_keys = %(start)s",
        "",
        (f"{STORE}::test_a_chunk_that_moved_meanwhile_is_not_written[postgres]",),
    ),
    Defect(
        "locked rows of a chunk counted before they are deferred",
        "connectors/postgres/store.py",
        "                        raise _RowsLocked\n",
        "                        pass\n",
        (f"{STORE}::test_locked_rows_are_deferred_before_the_ledger_counts_them[postgres]",),
    ),
    Defect(
        "a written row left in quarantine",
        "connectors/postgres/store.py",
        "        if written:\n            done =",
        "        if not mine:\n            done =",
        (f"{STORE}::test_a_refused_text_is_quarantined_until_it_changes[postgres]",),
    ),
)
_OF_THE_LANES = (
    Defect(
        "a dead letter swallowed",
        "streams/sync.py",
        "        self._patience.call(self._outbox.send_dead_letter, record, reason, stage=stage)\n",
        "",
        (SYNC,),
    ),
    Defect(
        "a locked or early row forgotten, not deferred",
        "streams/sync.py",
        "        self._patience.call(self._outbox.send_chunks, chunks)\n\n",
        "\n",
        (STEPS, SYNC),
    ),
    Defect(
        "transaction ids not extended to 64 bits",
        "schemas/snapshot.py",
        "        full = self.extend(xid)\n",
        "        full = xid\n",
        ("tests/unit/test_snapshot.py",),
    ),
    Defect(
        "a snapshot that takes running transactions for finished",
        "schemas/snapshot.py",
        "return full < self.xmax and full not in self.running",
        "return full < self.xmax",
        ("tests/unit/test_snapshot.py", f"{STORE}::test_an_open_transaction_is_not_seen_and_a_committed_one_is"),
    ),
    Defect(
        "rows with a vector taken for current, whatever their hash",
        "schemas/document.py",
        "if document.has_vector and stored == (document.hash, model):",
        "if document.has_vector:",
        (STEPS, SYNC, f"{STORE}::test_the_old_vector_stays_until_the_new_one_replaces_it"),
    ),
    Defect(
        "init not waiting until the slot is read",
        "streams/init.py",
        "settings.connector, also=lambda: _is_read(session, settings.slot))",
        "settings.connector)",
        ("tests/integration/test_init_capture.py::test_init_waits_until_the_slot_is_read",),
    ),
)

DEFECTS = (*_FIVE, *_OF_THE_WORKER, *_OF_THE_WRITE, *_OF_THE_LANES)


def misplaced(defects: Sequence[Defect]) -> list[str]:
    """A sentence for each defect whose old text does not stand exactly once in its file."""
    counts = {defect: (ROOT / defect.file).read_text(encoding="utf-8").count(defect.old) for defect in defects}
    return [
        f"{defect.name}: its old text stands {count} times in {defect.file}, not once: correct tests/mutants/defects.py"
        for defect, count in counts.items()
        if count != 1
    ]
