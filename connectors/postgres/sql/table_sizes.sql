-- Bytes of a table with TOAST, and rows as the statistics have them (-1: never counted).
SELECT pg_table_size(class.oid), class.reltuples::bigint, class.relkind = 'p'
FROM pg_class AS class
WHERE class.oid = %(oid)s
