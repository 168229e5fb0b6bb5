"""Random walks through `vectrue migrate`: verbs, SIGKILLs, edits of rows and settings,
obstacles; then the way out.

    tables.py     three tables of different shapes, and the expected vectors, computed without the
                  pipeline's SQL
    actions.py    what may happen, drawn from a seed without looking at the state
    obstacles.py  objects of an application that stand in the way of a migration
    filler.py     the replay lane's own code in this process, so that a replay needs no worker
    state.py      the state of the database, column by column, and the steps a verb may take there
    reading.py    the commands that a message tells its reader to type
    walk.py       one walk: each action is judged, then only what the commands say is followed to
                  the end
    report.py     what was tried and reached

`python -m tests.support.migrate_walk --sequences 200 --seed 1` walks;
`tests/integration/migration/test_migrate_walks.py` walks a little. A walk that fails
prints its actions, and `--only NUMBER` with the same seed takes it again.
"""
