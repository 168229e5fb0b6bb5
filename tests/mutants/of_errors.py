"""Defects of whose fault an error is (a row's, its table's, the surroundings') and of
what triggers make of a write.
"""

from tests.mutants.defect import Defect

ONE = "tests/integration/worker/test_one_row.py"
TRUE = "tests/integration/worker/test_true_to_text.py"
LOCKED = "tests/integration/worker/test_early_and_locked.py"

OF_ERRORS = (
    Defect(
        "an error that is taken for what the function that raised it calls it (D 1)",
        "connectors/postgres/conditions.py",
        "    return error.diag.source_function == _RAISE\n",
        "    return False\n",
        (f"{ONE}::test_whatever_an_expression_raises_is_about_its_row",),
    ),
    Defect(
        "a text that takes too long, taken for a server that is away (D 1)",
        "connectors/postgres/rows/store.py",
        "                raise RowTooSlow from None\n",
        "                raise\n",
        (f"{ONE}::test_a_text_that_takes_too_long_is_its_rows_alone",),
    ),
    Defect(
        "many refused rows taken for a broken table, without a look at others (D 1)",
        "connectors/postgres/rows/compare_and_set.py",
        "        taken = other_rows.take(cursor, self._target, self._keys(chosen), vector)\n",
        "        taken = False\n",
        (f"{LOCKED}::test_many_rows_that_are_refused_stop_nobody_where_the_table_takes_others",),
    ),
    Defect(
        "a broken table taken for many refused rows (D 1)",
        "connectors/postgres/rows/compare_and_set.py",
        "        taken = other_rows.take(cursor, self._target, self._keys(chosen), vector)\n",
        "        taken = True\n",
        (f"{LOCKED}::test_a_table_that_takes_no_row_fills_no_quarantine",),
    ),
    Defect(
        "a row whose trigger wants another try, in quarantine for good (D 1)",
        "connectors/postgres/rows/table_refusals.py",
        'conditions.is_raised(error) and (error.pgcode or "").startswith("40")',
        "False",
        (f"{LOCKED}::test_a_trigger_that_always_wants_another_try_has_its_row_deferred",),
    ),
    Defect(
        "what triggers made of a row just written, looked at for BEFORE triggers alone (E 10)",
        "connectors/postgres/rows/store.sql",
        "our_trigger.tgtype & 16 <> 0",
        "our_trigger.tgtype & 18 = 18",
        (f"{TRUE}::test_a_trigger_that_changes_the_text_in_our_update_is_followed",),
    ),
)
