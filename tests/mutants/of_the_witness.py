"""Defects of what green is judged by: installations, differences, the canary, looks,
sessions, capture.
"""

from tests.mutants.defect import Defect

CHANGED = "tests/unit/streams/worker/test_changed_keys.py"

_OF_THE_INSTALLATION = (
    Defect(
        "an offset of another log that is kept",
        "streams/setup/start_capture.py",
        "forget = new_slot or bool(reset.why)",
        "forget = new_slot",
        ("tests/integration/capture/test_moved_log.py::test_an_offset_ahead_of_the_log",),
    ),
    Defect(
        "one publication for all prefixes",
        "schemas/settings/reading.py",
        "        made = slug(self.kafka.topic_prefix)\n",
        '        made = "vectrue"\n',
        ("tests/integration/setup/test_two_installations.py::test_two_prefixes_work_side_by_side",),
    ),
)

_OF_WHAT_IS_THERE = (
    Defect(
        "a publication that somebody else owns, and nobody names",
        "connectors/postgres/setup/installation.py",
        "and owner != recorded.owner:",
        "and False:",
        ("tests/integration/setup/test_two_installations.py::test_whose_the_publication_is",),
    ),
    Defect(
        "sessions in which policies hide rows in silence",
        "connectors/postgres/pins.py",
        '    "row_security": "off",\n',
        "",
        (
            "tests/integration/capture/test_watched.py::test_whatever_hides_rows_is_named_and_what_hides_none_is_not",
        ),
    ),
    Defect(
        "a swapped table that counts as published by its name",
        "connectors/postgres/health/watched.sql",
        "pub.puballtables OR rel.prrelid IS NOT NULL",
        "true",
        (
            "tests/integration/capture/test_watched.py::test_a_table_swapped_by_renames_is_named_and_looked_at",
        ),
    ),
    Defect(
        "a key of another type that is dead-lettered without a look at the table",
        "streams/worker/live.py",
        "if not batch.is_doubtful or renewals == self._renewals:",
        "if True:",
        (f"{CHANGED}::test_a_key_beyond_the_type_of_before_is_read_with_the_type_of_now",),
    ),
    Defect(
        "a deferred row of another key that ends the lane",
        "connectors/postgres/rows/store.py",
        '                raise PoisonEvent(\n                    f"a key of',
        '                print(\n                    f"a key of',
        ("tests/contract/test_store.py::test_a_key_that_does_not_fit_is_poison",),
    ),
)

_OF_THE_WITNESS = (
    Defect(
        "a verdict without its witness (A 1)",
        "schemas/health/lag_report.py",
        "            found += of_witness(self.witness, self.canary)\n",
        "            pass\n",
        (
            "tests/unit/schemas/health/test_canary.py::test_what_is_said_of_a_canary",
            "tests/fault/test_canary.py::test_a_log_that_is_read_and_not_sent_is_named",
        ),
    ),
    Defect(
        "a canary of another installation that is noted as ours (A 1)",
        "streams/worker/watches/canary.py",
        "            elif beat.prefix == self._prefix:\n",
        "            else:\n",
        (
            "tests/unit/streams/worker/watches/test_canary.py::test_beats_are_noted_and_what_is_none_is_handed_on",
            "tests/integration/capture/test_canary.py::test_looks_are_shown_and_foreign_records_are_no_arrivals",
        ),
    ),
    Defect(
        "a slot whose place is noted as new at each look (A 2)",
        "connectors/postgres/health/canary.sql",
        "THEN known.moved_at",
        "THEN excluded.moved_at",
        ("tests/fault/test_canary.py::test_a_log_that_is_read_and_not_sent_is_named",),
    ),
)

_OF_WHAT_WAS_MISSED = (
    Defect(
        "a look that ends although its rows are not on their way",
        "streams/keeper/looks.py",
        "        if sent is not None:\n",
        "        if True:\n",
        (
            "tests/unit/streams/keeper/test_looks.py::test_a_run_that_holds_the_table_has_to_end_first",
        ),
    ),
    Defect(
        "a table that joins the publication and is not looked at",
        "streams/setup/joined.py",
        "if table not in before}",
        "if not before}",
        ("tests/integration/keeper/test_looks.py::test_what_joins_capture_is_looked_at",),
    ),
    Defect(
        "a worker that consumes without a look at what happened to its topics",
        "streams/worker/process.py",
        "    watch.begin()\n",
        "",
        ("tests/fault/test_kafka_anomalies.py::test_what_happened_while_no_worker_ran",),
    ),
    Defect(
        "offsets of a topic that was made again, kept",
        "streams/worker/watches/topics.py",
        "                self._broker.set_offsets(self._group, starts)\n",
        "",
        (
            "tests/unit/streams/worker/watches/test_topics.py::test_the_offsets_of_a_topic_made_again_are_forgotten",
        ),
    ),
)

_OF_THE_SESSIONS = (
    Defect(
        "a pooler in transaction mode that is taken for the server",
        "connectors/postgres/pooler.py",
        "if server_pid(opened) == opened.info.backend_pid:",
        "if server_pid(opened):",
        ("tests/integration/setup/test_pooler.py::test_transaction_mode_is_noticed_in_every_pool",),
    ),
    Defect(
        "a replication origin left in a session that a pooler hands on",
        "connectors/postgres/rows/own_writes.py",
        'f"COMMIT; {_RESET}"',
        '"COMMIT"',
        (
            "tests/integration/setup/test_pooler.py::test_a_pooler_in_session_mode_gets_its_connections_back_as_they_were",
        ),
    ),
    Defect(
        "sessions that take the settings of their role",
        "connectors/postgres/connecting.py",
        "        pins.apply(opened)\n",
        "",
        (
            "tests/integration/worker/test_sessions.py::test_one_meaning_of_a_text_whatever_a_role_has_set",
        ),
    ),
    Defect(
        "vectors that are not on disk when their offset is committed",
        "connectors/postgres/pins.py",
        "WHERE current_setting('synchronous_commit') = 'off'",
        "WHERE false",
        (
            "tests/fault/test_durability.py::test_vectors_of_a_role_without_synchronous_commit_outlive_a_crash",
        ),
    ),
    Defect(
        "a closed connection that costs its next user an error",
        "connectors/postgres/idle.py",
        "    if not heard.poll(0):\n",
        "    if True:\n",
        (
            "tests/fault/test_idle_connections.py::test_whoever_comes_back_to_a_closed_connection_gets_an_answer",
            "tests/fault/test_idle_connections.py::test_a_write_to_a_closed_connection_is_done_once_and_succeeds",
        ),
    ),
)

_OF_THE_CAPTURE = (
    Defect(
        "a connector that stays stopped where its worker or Connect died in a change of it",
        "streams/keeper/origin_watch.py",
        "            rounds.note(self._session, self._prefix, _CHANGE, None, doing)\n",
        "            pass\n",
        (
            "tests/integration/capture/test_foreign_origins.py::test_a_change_that_was_cut_short_is_ended",
        ),
    ),
    Defect(
        "logical messages not left out of capture",
        "connectors/debezium/always.py",
        '    "message.prefix.exclude.list": ANYTHING,\n',
        "",
        ("tests/integration/capture/test_capture_emits.py",),
    ),
    Defect(
        "writes of others left out with our own",
        "streams/worker/process.py",
        "    origin_watch.start(settings, lane.clock, restart)\n",
        "",
        (
            "tests/integration/capture/test_foreign_origins.py::test_rows_of_a_subscription_are_captured",
        ),
    ),
    Defect(
        "a column list in the publication, which DDL of the application fails at",
        "connectors/postgres/setup/capture.py",
        'keys=columns == "keys")',
        "keys=True)",
        (
            "tests/integration/migration/test_application_ddl.py::test_no_ddl_or_update_of_the_application_fails",
        ),
    ),
)

OF_THE_WITNESS = (
    *_OF_THE_INSTALLATION,
    *_OF_WHAT_IS_THERE,
    *_OF_THE_WITNESS,
    *_OF_WHAT_WAS_MISSED,
    *_OF_THE_SESSIONS,
    *_OF_THE_CAPTURE,
)
