"""Defects of "one row harms no other": a long batch, a row that cannot be read, a vector
that is not of its text.
"""

from tests.mutants.defect import Defect

ONE = "tests/integration/worker/test_one_row.py"
TRUE = "tests/integration/worker/test_true_to_text.py"
STORE = "tests/contract/test_store.py"
PARTS = "tests/unit/streams/worker/test_parts.py"
RESTLESS = "tests/unit/streams/worker/test_restless.py"

_OF_A_BATCH = (
    Defect(
        "a batch of long texts that is written when the last of them is embedded",
        "streams/worker/parts.py",
        "    return now >= until or (done > 0 and now + spent / done * more > until)\n",
        "    return False\n",
        (
            f"{PARTS}::test_a_batch_of_long_texts_is_written_in_parts",
            "tests/unit/streams/worker/test_chunk_parts.py::test_a_chunk_of_long_texts_moves_in_parts",
        ),
    ),
    Defect(
        "an event of a long batch that is acknowledged before the ones before it",
        "streams/worker/batch.py",
        "                stuck.add(place)\n",
        "                pass\n",
        (f"{PARTS}::test_events_of_a_row_that_is_not_done_are_not_acknowledged",),
    ),
    Defect(
        "a long text beside short ones in a call of the model",
        "streams/worker/parts.py",
        "if call and (len(call) + 1) * costs[position] > CHARACTERS:",
        "if call and len(call) == 32:",
        (f"{PARTS}::test_a_long_text_lends_its_length_to_no_other",),
    ),
)
_OF_A_ROW = (
    Defect(
        "a check of vectors that trusts the rows that a count trusts",
        "connectors/postgres/audit/judged.py",
        "            untouched=_NEVER,\n",
        "",
        (f"{TRUE}::test_a_count_reads_vectors_of_rows_that_others_wrote_and_verify_all",),
    ),
    Defect(
        "a read that fails as a whole where one row's text cannot be made",
        "streams/worker/settle.py",
        "            if len(keys) == 1:\n                yield keys, reason\n",
        "            if reason:\n                yield keys, reason\n",
        (f"{ONE}::test_rows_whose_text_cannot_be_made_stand_alone",),
    ),
    Defect(
        "a scan that one row ends",
        "connectors/postgres/guard.py",
        "        return work(target.guard())",
        "        raise",
        (f"{ONE}::test_no_command_is_blinded_by_a_row",),
    ),
    Defect(
        "a write that makes the texts of rows beside its own",
        "connectors/postgres/rows/store.sql",
        (
            "CASE WHEN {key_match} THEN sha256(convert_to(({text}\n        )::text, 'UTF8')) = "
            "our_asked.our_hash END"
        ),
        "sha256(convert_to(({text}\n        )::text, 'UTF8')) = our_asked.our_hash",
        (f"{ONE}::test_no_command_is_blinded_by_a_row",),
    ),
    Defect(
        "a text read as a whole",
        "connectors/postgres/rows/store.sql",
        "coalesce(left(doc.text, %(characters)s), '') AS text",
        "coalesce(doc.text, '') AS text",
        (f"{STORE}::test_a_text_is_read_as_far_as_it_counts[postgres]",),
    ),
    Defect(
        "a text given up for what a trigger made of the ones before it",
        "streams/worker/batch.py",
        "        if self.given.get(document.key, [])[-1:] != [document.hash]:\n",
        "        if document.key not in self.given:\n",
        (
            f"{RESTLESS}::test_a_text_that_the_application_wrote_meanwhile_is_not_given_up_for_the_ones_before",
            f"{RESTLESS}::test_tries_count_anew_from_a_text_that_the_application_wrote",
        ),
    ),
    Defect(
        "a row that two batches try again for as long as they change it for each other",
        "streams/worker/batch.py",
        "contended if self.changed[key] >= _MOST_CHANGES else again",
        "again",
        (f"{RESTLESS}::test_two_batches_with_a_restless_row_do_not_keep_each_other_busy",),
    ),
    Defect(
        "a tokenizer that is given the whole text",
        "connectors/models/text.py",
        "_start(text, longest) if len(text) > longest else text",
        "text",
        ("tests/unit/connectors/models/test_text.py",),
    ),
    Defect(
        "an alias of ours that a table may be called like",
        "connectors/postgres/queries.py",
        '        prefix += "_"\n',
        "        break\n",
        ("tests/contract/test_names.py",),
    ),
    Defect(
        "Postgres's message, which quotes the row, told in place of the condition's name",
        "connectors/postgres/errors.py",
        "        return RowRefused(conditions.name(code))\n    if code in conditions.MISSING",
        "        return RowRefused(str(error))\n    if code in conditions.MISSING",
        (ONE,),
    ),
)
_OF_A_VECTOR = (
    Defect(
        "an old vector beside a new text taken for current in a scan",
        "connectors/postgres/queries.sql",
        " AND doc.tied\n",
        "\n",
        (f"{TRUE}::test_an_old_vector_written_back_is_found_and_healed",),
    ),
    Defect(
        "an old vector beside a new text taken for current by the live lane",
        "schemas/rows/document.py",
        "document.has_vector and document.tied and",
        "document.has_vector and",
        (f"{TRUE}::test_an_old_vector_written_back_is_found_and_healed",),
    ),
    Defect(
        "a write under another text expression than the wanted one",
        "connectors/postgres/rows/store.sql",
        (
            " AND wanted.text_digest = {text_digest}\n    )\nRETURNING our_asked.our_ord\n\n-- "
            "name: clear_vectors"
        ),
        "\n    )\nRETURNING our_asked.our_ord\n\n-- name: clear_vectors",
        (f"{STORE}::test_a_worker_with_another_expression_writes_nothing[postgres]",),
    ),
    Defect(
        "a text that chance or time decides",
        "connectors/postgres/checks/text_check.py",
        "    _refuse(target, unsteady)\n",
        "",
        (f"{TRUE}::test_a_text_that_is_no_function_of_its_row_is_refused",),
    ),
    Defect(
        "a text that a trigger changed in our own write taken for embedded",
        "connectors/postgres/rows/trigger_changes.py",
        "            if not same_text:\n",
        "            if False:\n",
        (f"{TRUE}::test_a_trigger_that_changes_the_text_in_our_update_is_followed",),
    ),
    Defect(
        (
            "a text that a trigger changed in a write without an answer, left to an event that "
            "will "
            "not come"
        ),
        "connectors/postgres/rows/store.py",
        "            self._is_in_doubt = progress is None\n",
        "",
        (f"{TRUE}::test_a_text_changed_in_a_write_that_had_no_answer_is_read_again",),
    ),
    Defect(
        "decomposed and composed Hangul as two texts",
        "connectors/models/text.py",
        'unicodedata.normalize("NFC", ',
        "str(",
        ("tests/unit/connectors/models/test_text.py::test_composed_and_decomposed_are_one_text",),
    ),
)
_OF_FOREIGN_TEXT = (
    Defect(
        "a terminal that a row's text commands",
        "streams/cli/screen/output.py",
        "        return super().render_str(one_line(text), **options)",
        "        return super().render_str(text, **options)",
        ("tests/unit/schemas/test_printable.py::test_whatever_is_printed_is_written_out",),
    ),
    Defect(
        "a log whose lines a text commands",
        "streams/common/logs.py",
        "    return visible(text) if name in _SEVERAL_LINES else one_line(text)",
        "    return text",
        ("tests/unit/schemas/test_printable.py::test_logs_are_written_out",),
    ),
    Defect(
        "bytes that are no text, taken as they are",
        "schemas/text_lines.py",
        'line.decode("utf-8-sig" if number == 1 else "utf-8")',
        'line.decode("utf-8", errors="surrogateescape")',
        (
            "tests/unit/schemas/test_text_lines.py::test_files_of_json",
            "tests/unit/schemas/test_text_lines.py::test_keys",
        ),
    ),
    Defect(
        "half a character that a file brings in",
        "schemas/text_lines.py",
        "    if not whole:",
        "    if False:",
        ("tests/unit/schemas/test_text_lines.py::test_files_of_json",),
    ),
)
OF_ONE_ROW = (*_OF_A_BATCH, *_OF_A_ROW, *_OF_A_VECTOR, *_OF_FOREIGN_TEXT)
