"""Defects of what a record may do, in any topic that is read, and of where a dead
letter may be sent.
"""

from tests.mutants.defect import Defect

ANY = "tests/unit/streams/worker/test_any_record.py"
CHUNKS = "tests/unit/streams/worker/test_replay.py"
REDRIVE = "tests/unit/streams/dead_letters/test_redrive.py"

OF_RECORDS = (
    Defect(
        "a deferred row whose times have no zone, taken as it is (F 12)",
        "schemas/messages/chunk.py",
        "    since: AwareDatetime\n    not_before: AwareDatetime\n",
        '    since: __import__("datetime").datetime\n'
        '    not_before: __import__("datetime").datetime\n',
        (f"{ANY}::test_a_deferred_row_without_a_zone_or_a_key_is_a_dead_letter",),
    ),
    Defect(
        "a message that is believed which keys its chunk has (F 12)",
        "streams/worker/replay.py",
        "        return entered\n",
        "        return told\n",
        (f"{ANY}::test_the_ledger_says_which_keys_a_chunk_has",),
    ),
    Defect(
        "a row that waits until a time that somebody made up (F 12)",
        "streams/worker/deferral.py",
        "return seconds if 0 < seconds <= _LONGEST_DEFERRAL_SECONDS else 0.0",
        "return max(0.0, seconds)",
        (f"{ANY}::test_a_row_that_is_to_wait_for_longer_than_any_is_looked_at",),
    ),
    Defect(
        "a row that a replay deferred, without a sign of when (F 2)",
        "streams/worker/replay.py",
        "            txids=(self._rows.seen,),\n",
        "",
        (
            "tests/unit/streams/worker/test_changed_keys.py::test_a_row_that_a_replay_deferred_is_looked_for_too",
        ),
    ),
    Defect(
        "a limit that counts what is bad in a record, and not the record (F 13)",
        "streams/worker/replay.py",
        "        if record.position == self._bad:\n            return\n",
        "",
        (f"{CHUNKS}::test_a_record_is_one_bad_event_however_much_is_bad_in_it",),
    ),
    Defect(
        "a dead letter sent wherever it says (F 14)",
        "streams/dead_letters/redrive.py",
        "    if topic in (*live_topics(settings), settings.canary_topic, settings.replay_topic):\n",
        "    if topic:\n",
        (f"{REDRIVE}::test_what_nothing_reads_is_named_and_not_written_to",),
    ),
    Defect(
        "an error of the client while letters are sent again, let through (F 14)",
        "connectors/kafka/outbox.py",
        "        except (KafkaException, SystemError) as error:\n",
        "        except AssertionError as error:\n",
        (f"{REDRIVE}::test_an_error_of_the_client_is_one_of_ours",),
    ),
)
