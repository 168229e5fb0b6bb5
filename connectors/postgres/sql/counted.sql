-- The vector columns that installations keep, and the query that counts each.
SELECT prefix, table_name, column_name, query FROM vectrue.counted ORDER BY prefix, table_name, column_name
