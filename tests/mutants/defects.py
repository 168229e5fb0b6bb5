"""The defects, each an exact change of one file, and the tests that must notice it.

Hazard: the old text must stand in its file exactly once; a change of the code that
moves it has to be followed here, and `make unit` says so.
"""

from collections.abc import Sequence

from tests.mutants.defect import Defect
from tests.mutants.of_errors import OF_ERRORS
from tests.mutants.of_migrations import OF_MIGRATIONS
from tests.mutants.of_one_row import OF_ONE_ROW
from tests.mutants.of_records import OF_RECORDS
from tests.mutants.of_rights import OF_RIGHTS
from tests.mutants.of_the_surroundings import OF_THE_SURROUNDINGS
from tests.mutants.of_the_witness import OF_THE_WITNESS
from tests.support.root import ROOT

LIVE = "tests/integration/worker/test_live.py"
STORE = "tests/contract/test_store.py"
SYNC = "tests/unit/streams/worker/test_live.py"
DEFERRALS = "tests/unit/streams/worker/test_deferrals.py"
STEPS = (
    "tests/unit/streams/worker/test_interleavings.py"
    "::test_two_live_workers_and_an_application_in_every_order"
)
PAUSED = "tests/integration/worker/test_interleavings.py"
ACKNOWLEDGED = "tests/fault/test_acknowledgement.py"


_MODEL_CONDITION = """ = our_asked.our_hash END
    AND EXISTS (
        SELECT FROM vectrue.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s \
AND wanted.text_digest = {text_digest}
    )
"""
_APART = "            changes, beats = self._apart(events)\n"
_HANDLE = """            if changes:
                await self.guarded(self._batch(stream, "sync", self.lane.sync.steps, changes))
            if beats:
                await self.guarded(self._batch(stream, "canary", self.lane.arrivals.steps, beats))
"""
_IN_HAND = "        with self.heartbeat.batch(name) as between:\n"
_FIVE = (
    Defect(
        "the hash condition out of the UPDATE",
        "connectors/postgres/rows/store.sql",
        "    AND CASE WHEN {key_match} THEN sha256(convert_to(({text}\n"
        "        )::text, 'UTF8')) = our_asked.our_hash END\n",
        "",
        (PAUSED, f"{STORE}::test_a_vector_of_an_older_text_is_never_written[postgres]"),
    ),
    Defect(
        "the acknowledgement before the write",
        "streams/worker/agents.py",
        _IN_HAND,
        "        for event in events:\n            await stream.ack(event)\n" + _IN_HAND,
        (f"{ACKNOWLEDGED}::test_an_event_is_acknowledged_after_its_write_and_not_before",),
    ),
    Defect(
        "take in place of noack_take",
        "streams/worker/agents.py",
        "stream.noack_take(size, within=linger_seconds)",
        "stream.take(size, within=linger_seconds)",
        (f"{LIVE}::test_insert_update_and_blank_text",),
    ),
    Defect(
        "the dead letter not awaited",
        "connectors/kafka/outbox.py",
        "            self._send(letters)\n",
        "            for _, key, value, headers in letters:\n"
        "                self._producer.produce(topic, value, key, headers=list(headers))\n",
        ("tests/contract/test_outbox.py::test_a_dead_letter_that_kafka_does_not_take_is_an_error",),
    ),
    Defect(
        "the visibility check out",
        "streams/worker/live_rows.py",
        "if all(reading.snapshot.sees(xid) for xid in work.hints[key].txids):",
        "if True:",
        (
            f"{STEPS}[there and back, current row]",
            f"{DEFERRALS}::test_an_event_that_stays_early_is_deferred_and_its_neighbour_written",
            "tests/integration/worker/test_early_and_locked.py::test_commits_that_wait_for_a_standby_for_longer_than_every_bound",
        ),
    ),
)
_OF_THE_WORKER = (
    Defect(
        "an acknowledgement by Faust itself (take_events), and failures let out of the loop body",
        "streams/worker/agents.py",
        "stream.noack_take(size, within=linger_seconds):\n" + _APART + _HANDLE,
        "stream.take_events(size, within=linger_seconds):\n"
        + _APART
        + _HANDLE.replace("self.guarded(", "")
        .replace("changes))", "changes)")
        .replace("beats))", "beats)"),
        (f"{ACKNOWLEDGED}::test_a_write_that_fails_ends_the_worker_and_acknowledges_nothing",),
    ),
    Defect(
        "a failed batch logged and passed over",
        "streams/worker/runner.py",
        "            leave(EXIT_RESTART, str(error) or type(error).__name__, error)\n",
        "            log.critical(str(error))\n",
        (f"{ACKNOWLEDGED}::test_a_write_that_fails_ends_the_worker_and_acknowledges_nothing",),
    ),
    Defect(
        "a watchdog that is never started",
        "streams/worker/process.py",
        "settings.watchdog, outside, leave).start()",
        "settings.watchdog, outside, leave)",
        ("tests/fault/test_watchdog.py::test_a_batch_over_its_budget_ends_the_worker_with_70",),
    ),
    Defect(
        "own writes not labelled with an origin",
        "connectors/postgres/rows/own_writes.py",
        "in (*range(first, origins.COUNT), *range(first))",
        "in ()",
        (f"{LIVE}::test_an_unrelated_column_encodes_nothing_and_own_writes_bring_no_event",),
    ),
)
_OF_THE_WRITE = (
    Defect(
        "the model condition out of the UPDATE",
        "connectors/postgres/rows/store.sql",
        _MODEL_CONDITION,
        " = our_asked.our_hash END\n",
        (f"{STORE}::test_a_worker_with_another_model_writes_nothing[postgres]",),
    ),
    Defect(
        "a write that waits for locked rows",
        "connectors/postgres/rows/store.sql",
        " SKIP LOCKED",
        "",
        (f"{STORE}::test_a_locked_row_is_not_waited_for_and_its_neighbours_are_written[postgres]",),
    ),
    Defect(
        "a vector cleared although there is text again",
        "connectors/postgres/rows/store.sql",
        "    AND CASE WHEN {key_match} THEN coalesce(left(({text}\n"
        "        )::text, {blank_within}) !~ {not_blank}, true) END\n",
        "",
        (f"{STORE}::test_a_cleared_row_has_no_vector_and_no_provenance[postgres]",),
    ),
    Defect(
        "the ledger's position out of advance_chunk",
        "connectors/postgres/rows/store.sql",
        " AND done_keys = %(start)s",
        "",
        (f"{STORE}::test_a_chunk_that_moved_meanwhile_is_not_written[postgres]",),
    ),
    Defect(
        "locked rows of a chunk counted before they are deferred",
        "connectors/postgres/rows/store.py",
        "                        raise _RowsLocked(locked)\n",
        "                        pass\n",
        (f"{STORE}::test_locked_rows_are_deferred_before_the_ledger_counts_them[postgres]",),
    ),
    Defect(
        "a written row left in quarantine",
        "connectors/postgres/rows/compare_and_set.py",
        "        if written:\n            done =",
        "        if not mine:\n            done =",
        (f"{STORE}::test_a_success_ends_the_quarantine[postgres]",),
    ),
)
_OF_THE_LANES = (
    Defect(
        "a dead letter swallowed",
        "streams/worker/live.py",
        "        self._retry.call(self._outbox.send_dead_letters, list(failed.values()))\n",
        "",
        (f"{SYNC}::test_one_bad_event_harms_no_neighbour",),
    ),
    Defect(
        "a locked or early row forgotten, not deferred",
        "streams/worker/deferral.py",
        "        self._retry.call(self._outbox.send_deferred, rows)\n\n",
        "\n",
        (
            f"{STEPS}[an edit, new row]",
            f"{DEFERRALS}::test_a_locked_row_is_deferred_and_written_later",
        ),
    ),
    Defect(
        "transaction ids not extended to 64 bits",
        "schemas/rows/snapshot.py",
        "        full = self.extend(xid)\n",
        "        full = xid\n",
        ("tests/unit/schemas/rows/test_snapshot.py",),
    ),
    Defect(
        "a snapshot that takes running transactions for finished",
        "schemas/rows/snapshot.py",
        "return full < self.xmax and full not in self.running",
        "return full < self.xmax",
        (
            "tests/unit/schemas/rows/test_snapshot.py",
            f"{STORE}::test_an_open_transaction_is_not_seen_and_a_committed_one_is",
        ),
    ),
    Defect(
        "rows with a vector taken for current, whatever their hash",
        "schemas/rows/document.py",
        "if document.has_vector and document.tied and stored == (document.hash, model):",
        "if document.has_vector:",
        (
            f"{STEPS}[an edit, current row]",
            f"{STORE}::test_the_old_vector_stays_until_the_new_one_replaces_it",
        ),
    ),
    Defect(
        "init not waiting until the slot is read",
        "streams/setup/start_capture.py",
        "self.connect.wait_running(name, also=is_read)",
        "self.connect.wait_running(name)",
        ("tests/integration/setup/test_init_capture.py::test_init_waits_until_the_slot_is_read",),
    ),
)
_JUDGE = "        self._dead_letter_limit.judge(judged, self._clock.monotonic())\n"
_MOVE = (
    "        # One wait for all of them.\n"
    "        self._retry.call(self._outbox.send_dead_letters, list(failed.values()))\n"
)
_ENTER = "        run = entering.create_keys(cursor, target, keys, chunk_size)\n"
_LEAVE = """        cursor.execute(queries.text("leave_quarantine"), \
_rows(str(target.table), target.column, keys))
        cursor.execute("COMMIT")
        cursor.execute("BEGIN")
"""
_OF_THE_REPAIRS = (
    Defect(
        "the limit judging after the dead letters were sent",
        "streams/worker/live.py",
        _JUDGE + _MOVE,
        _MOVE + _JUDGE,
        (f"{SYNC}::test_a_flood_stops_the_lane_before_a_bad_event_is_moved",),
    ),
    Defect(
        "a redriven row that leaves quarantine without its run",
        "connectors/postgres/rows/quarantine.py",
        _ENTER,
        _LEAVE + _ENTER,
        (
            "tests/integration/keeper/test_dlq.py::test_a_row_leaves_quarantine_with_its_run_or_not_at_all",
        ),
    ),
    Defect(
        "a replay that gives no way to a lagging live lane",
        "streams/worker/throttle.py",
        "reason = self._live_first.reason(self.live(), limit)",
        "reason = None",
        (
            "tests/unit/streams/worker/test_throttle.py::test_between_micro_batches_the_replay_waits_for_the_live_lane",
        ),
    ),
    Defect(
        "rows sent by reconcile that were stale in one look only",
        "streams/keeper/reconcile.py",
        "same += key in before and _written(before[key]) == _written(found)",
        "same += 1",
        (
            "tests/unit/streams/keeper/test_keeper.py::test_rows_on_their_way_are_left_to_the_live_lane",
        ),
    ),
    Defect(
        "a vector's word taken for its length",
        "connectors/postgres/audit/scan.sql",
        "abs(facts.norm - 1) > %(tolerance)s",
        "false",
        (
            "tests/integration/replay/test_verify.py::test_damage_of_every_kind_is_found_and_repaired",
        ),
    ),
    Defect(
        "an edit after the sample that is adopted with it",
        "connectors/postgres/audit/scan.sql",
        "& 4294967295)",
        "& 4294967295) + 4294967296",
        ("tests/integration/replay/test_adopt.py::test_an_edit_is_never_adopted",),
    ),
    Defect(
        "an edit on its way that is adopted instead of embedded",
        "streams/audit/adopt.py",
        "handled.wait(self._horizon, [*topics, self._settings.deferred_topic], tell)",
        "",
        ("tests/integration/replay/test_adopt.py::test_an_edit_is_never_adopted",),
    ),
)

_OF_THE_QUERY_LOG = (
    Defect(
        "feedback that does not wait for its search",
        "streams/api/query_log.py",
        "await asyncio.shield(pending)",
        "pass",
        ("tests/unit/streams/evaluation/test_quality.py::test_feedback_waits_for_its_search",),
    ),
    Defect(
        "a query log with plain hashes, which can be guessed",
        "streams/api/query_log.py",
        'hmac.digest(self._key, text.encode(), "sha256")',
        'hmac.digest(b"", text.encode(), "sha256")',
        (
            "tests/unit/streams/evaluation/test_quality.py::test_a_hash_says_no_more_than_that_two_queries_are_equal",
        ),
    ),
    Defect(
        "judged queries that count as searches of users",
        "streams/api/engine.py",
        "return (await self._find(request))[1]",
        "targets, found = await self._find(request); _note(targets, found); return found",
        (
            "tests/integration/search/test_quality.py::test_a_server_asks_judged_queries_again_and_again",
        ),
    ),
)
DEFECTS = (
    *_FIVE,
    *_OF_THE_WORKER,
    *_OF_THE_WRITE,
    *_OF_THE_LANES,
    *_OF_THE_REPAIRS,
    *_OF_THE_QUERY_LOG,
    *OF_THE_WITNESS,
    *OF_ONE_ROW,
    *OF_ERRORS,
    *OF_RECORDS,
    *OF_THE_SURROUNDINGS,
    *OF_RIGHTS,
    *OF_MIGRATIONS,
)


def misplaced(defects: Sequence[Defect]) -> list[str]:
    """A sentence for each defect whose old text does not stand exactly once in its
    file.
    """
    counts = {
        defect: (ROOT / defect.file).read_text(encoding="utf-8").count(defect.old)
        for defect in defects
    }
    return [
        f"{defect.name}: its old text stands {count} times in {defect.file}, not once: correct "
        "tests/mutants/defects.py"
        for defect, count in counts.items()
        if count != 1
    ]
