"""Defects of migrations: a step judged by another column, a step in halves, a gate or
an advice that is not true.
"""

from tests.mutants.defect import Defect

SCOPES = "tests/integration/migration/test_migrate_scopes.py"
OBSTACLES = "tests/integration/migration/test_migrate_obstacles.py"
WHOLE = "tests/integration/migration/test_migrate_whole.py"
PLAN = "tests/integration/migration/test_migrate_plan.py"

OF_MIGRATIONS = (
    Defect(
        "a rollback that judges all columns by the first",
        "streams/migration/steps.py",
        """                if made.state is MigrationState.SWAPPED:
                    back.append(made)
                elif not made.offline:
""",
        """                if here[0].state is MigrationState.SWAPPED:
                    back.append(made)
                else:
""",
        (f"{SCOPES}::test_mixed_states_are_gone_back_from_one_by_one",),
    ),
    Defect(
        "a finish that ends one table after the other",
        "streams/migration/steps.py",
        """            ended = migration.discard(self._session, found, MigrationState.FINISHED)
            self._take(MigrationStep.FINISH, found, [ended], leaving=found)
""",
        """            for one in ([made] for made in found):
                ended = migration.discard(self._session, one, MigrationState.FINISHED)
                self._take(MigrationStep.FINISH, one, [ended], leaving=one)
""",
        (f"{WHOLE}::test_a_finish_that_fails_at_the_second_table_has_dropped_nothing",),
    ),
    Defect(
        "a column that is dropped without a look for what stands on it",
        "streams/migration/check.py",
        "        look.dropping(made)\n",
        "        pass\n",
        (f"{OBSTACLES}::test_a_finish_is_refused_before_the_first_table_loses_its_old_vectors",),
    ),
    Defect(
        "a start in several transactions",
        "streams/migration/steps.py",
        """            self._run(migration.together(self._session, changed, steps), "start", steps)
""",
        """            for step in steps if changed else ():
                self._run(step, "start")
""",
        (f"{WHOLE}::test_a_start_that_fails_at_the_second_table_has_not_begun",),
    ),
    Defect(
        "indexes that are known from the start alone",
        "connectors/postgres/migrations/twins.py",
        "_recorded(session, oid, made) if made.offline else wanted(of_old)",
        "tuple(i for i in wanted(of_old) if i.name in {n.served for n in made.indexes})",
        (f"{PLAN}::test_an_index_made_after_the_start_is_asked_about",),
    ),
    Defect(
        "a status that asks for replays of rows on their way, for which the gate waits",
        "streams/migration/status.py",
        "    staying = _staying(healthy, session, clock, lacking)\n",
        "    staying = lacking\n",
        (f"{WHOLE}::test_rows_on_their_way_ask_for_no_replay",),
    ),
    Defect(
        "a swap while rows lack the new vector",
        "streams/migration/gate.py",
        "    lack = [line for line in lines if line.staying]\n",
        "    lack = []\n",
        ("tests/integration/migration/test_migrate.py::test_from_64_to_96_and_back_and_again",),
    ),
    Defect(
        "an end while tables are yet to follow",
        "streams/migration/check.py",
        "    if left:\n",
        "    if False:\n",
        (
            "tests/integration/migration/test_migrate_scopes.py::test_tables_that_go_one_by_one_are_finished_together",
        ),
    ),
    Defect(
        "a model forgotten with the end of its migration",
        "streams/common/embedders.py",
        "migration.read(session, finished=True)",
        "migration.read(session)",
        (
            "tests/integration/migration/test_migrate_scopes.py::test_a_table_that_goes_back_after_the_others_have_arrived_is_served_on",
        ),
    ),
)
