"""Rows read and vectors written, with the compare-and-set.

store           read rows, write vectors (Store and Ledger)
own_writes      transactions under a replication origin of ours
meddled         what triggers made of the rows of a write
copy            the binary image of COPY
table_refusals  which row of a write the table itself refuses
quarantine      the operator's side of quarantine and of dead letters
wanted          what the database wants in a column of the reader's settings
large_rows      the largest row, for an event that was too large
other_rows      whether a table that refused many rows takes any
lengths         how long the vectors of a column are; errors about that in one
                sentence
"""
