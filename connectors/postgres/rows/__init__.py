"""Rows read and vectors written, with the compare-and-set.

store            read rows, write vectors (Store and Ledger)
compare_and_set  the rows of one transaction: lock, compare and set, what triggers did
stages           temporary tables from which an UPDATE takes its vectors
own_writes       transactions under a replication origin of ours
trigger_changes  what triggers made of the rows of a write
copy             the binary image of COPY
keys             keys as parameters of queries
table_refusals   which row of a write the table itself refuses
other_rows       whether a table that refused many rows takes any
quarantine       rows in quarantine; what was done about dead letters
wanted           what the database wants in a column
large_rows       the largest row, for an event that was too large
vector_size      how many bytes a vector takes, for estimates
lengths          how long the vectors of a column are; errors about that in one
                 sentence
"""
