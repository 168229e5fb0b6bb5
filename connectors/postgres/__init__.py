"""Postgres: the rows, the ledger, and what `vectrue init` puts into the database.

In the order a change meets them: session (connections), open_connections (those of this process, and their end),
errors, conditions (which are about a row), pooler (is one in between), pins (what every session sets), idle
(connections that ended), queries (the .sql files), expressions (texts and conditions, parsed), catalog (what a table
is), store (read and write), meddled (what triggers made of it), own_writes (transactions under a replication origin),
copy (the binary image), table_refusals (rows whose write the table refuses), other_rows (does it take any?),
enumeration (rows of a replay), guard (scans that survive any row), ledger (replay runs), quarantine (from the
operator's side), wanted (of a configured column), coverage, textless (rows with content and no text), judged and
audit (every vector), adoption (vectors of the application), search, ranking (for comparisons), quality (figures of
judged queries, feedback), query_log (searches and feedback, written), slot, lengths (of vectors: what differs, and
the error about it), migration (columns on their way to another model), dependents (what stands on a column), twins
and twin_steps (its indexes, and what builds them on another), outlook (sizes, owners, room on the disk), keeper (who
it is, which rows are stale), locks (that take a right), blockers (who holds what we wait for), rounds (when somebody
last looked), edits (of settings files under running workers), looks (tables that are yet to be looked at),
topic_notes (topics, and how far they are handled), table_marks (what rows are stored in), installation (what `init`
set up, and on which log), log_watch (whose log is the connector's offset of?), watched (configured against there),
canary (its beats and arrivals), witness (what green is judged by), checkup and checkup_columns (what `doctor` asks).
For `init`: server and neighbour (checks), others (in the same database), statement (planned, then run or printed),
schema, meaning (search path and locale of all sessions), counting (functions and view), capture, origins (which are
ours), trust (whose code runs with whose rights), grants, text_rights (schemas and functions of expressions),
score_rights (what `[score]` reads), text_check (what they read and call), replica_identity (where UPDATEs are
refused), large_rows (for an event that was too large).
"""
