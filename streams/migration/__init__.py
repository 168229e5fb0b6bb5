"""Moving vector columns to another model while readers go on reading.

steps         the steps to another model
start         what `start` does, as one transaction
plan          what they would take: the whole to-do
status        how far each column is, by the rule of the gate
indexes       which indexes the new column lacks, built one by one
build         one CREATE INDEX CONCURRENTLY: watched, whom it waits for, cancelled
              with its command
check         what has to be true before a step; what it will do
obstacles     what stands in its way, with the statements that deal with it
in_flight     whose migrations a command is about: its own, of others, of tables
              that are gone
next_step     the commands that come next
todo          what stands in the way of each, and what is done by hand
commands      what to type, in order: every table by its own state
wanted_model  the model that a plan is about, and how it is named
workers       whether the workers come back after a start
"""
