"""Postgres: connections, and one package per thing that is done with rows.

rows              Rows read and vectors written, with the compare-and-set
ledger            The ledger of replay runs, and which rows a run is about
audit             Every vector judged, counted, adopted
search            Nearest rows, comparisons, judged queries and feedback
checks            What is checked before anything is changed
setup             What `vectrue init` puts into the database
health            What workers, the keeper, `lag` and `doctor` ask about the state
                  of things
migrations        The steps of a migration of a vector column, and its indexes
session           a connection
open_connections  those of this process: what runs in them, cancelled from another
                  thread
blockers          who holds what a statement waits for
errors            errors of psycopg2 as ours
pooler            is a connection pooler in between, and in which mode
pins              what every session sets, and why
idle              a connection that ended while idle; what may be tried twice
queries           the .sql files, and how names get into them
expressions       texts and conditions that somebody wrote: one expression each,
                  parsed and not run
catalog           what the catalogue says about a table; its target
locks             who does what is done once: lines that only our roles may write
conditions        which of Postgres's conditions are about a row, and their names
guard             scans that survive a row whose text cannot be made
statement         planned statements, run under lock_timeout or printed
"""
