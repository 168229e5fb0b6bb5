"""Tables, columns and rows, and the rule that says whether a vector is true.

table             table names and keys, as every part writes them
target            a vector column, its text and its wanted model
index_definition  what an index is, whatever it is called, and the same for another
                  column
key_values        a key as the connector writes it, in Postgres's words
snapshot          does a reader see this transaction yet?
document          a row as read; `decide`; what became of a write
dimensions        the numbers of dimensions that meet in a column, and what comes
                  next
"""
