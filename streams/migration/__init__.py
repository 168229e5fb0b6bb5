"""Moving vector columns to another model while readers go on reading.

steps          the steps to another model
step_columns   which columns a step is for
start          what `start` does, as one transaction
exchange       what `swap` and `rollback` do to the columns
gate           the gate of `swap` and `finish`: all rows filled, all indexes built
check          what must be true before a step, and what it will do
obstacles      what blocks a step, with the statements that remove it
indexes        which indexes the new column lacks, built one by one
build          one CREATE INDEX CONCURRENTLY: watched, and cancelled with its command
status         read how far each column is
column_status  how far a column is, and what comes next
next_step      the command that comes next
in_flight      whose migrations a command is about
replays        replay runs over the tables of a migration
workers        whether the workers come back after a start
planning       `migrate plan`: what a migration will take
"""
