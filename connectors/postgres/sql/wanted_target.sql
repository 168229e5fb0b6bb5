-- What the database wants in a vector column.
SELECT model, dimensions FROM embedsync.targets WHERE table_name = %(table)s AND column_name = %(column)s
