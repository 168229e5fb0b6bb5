"""Postgres: connections, and one package for each thing that is done with rows.

rows              rows read and vectors written, with the compare-and-set
ledger            the ledger of replay runs, and which rows a run is about
audit             every vector judged, counted, adopted
search            nearest rows, comparisons, judged queries and feedback
checks            what is checked before anything is changed
setup             what `vectrue init` puts into the database
health            what workers, the keeper, `lag` and `doctor` ask about the state
                  of things
migrations        the steps of a migration of a vector column, and its indexes
session           a connection that is renewed after a failure
connecting        open a connection, and close it
open_connections  the connections of this process; cancel what runs in them
blockers          who holds what a statement waits for
errors            errors of psycopg2 translated into ours
pooler            whether there is a connection pooler in between, and in which mode
pins              what every session sets, and why
idle              whether an idle connection has ended; which statements may be retried
queries           the .sql files, and how names get into them
expressions       texts and conditions of the operator: parsed, not run
catalog           what the catalogue says about a table; its target
locks             locks of vectrue: lines that only its roles may write
conditions        which of Postgres's conditions are about a row, and their names
guard             scans that survive a row whose text cannot be made
statement         planned statements, run under lock_timeout or printed
"""
