-- Nothing is read; but until this transaction ends, no column of the table can take another name.
SELECT {keys} FROM {table} LIMIT 0
